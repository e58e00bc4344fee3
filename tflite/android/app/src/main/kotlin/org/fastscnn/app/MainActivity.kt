package org.fastscnn.app

import android.Manifest
import android.content.Intent
import android.content.pm.PackageManager
import android.os.Bundle
import android.view.View
import android.view.WindowManager
import android.widget.AdapterView
import android.widget.SeekBar
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts
import androidx.camera.core.ImageProxy
import androidx.core.content.ContextCompat
import java.util.Locale
import java.util.concurrent.Executors
import org.fastscnn.core.Failure
import org.fastscnn.core.Fit
import org.fastscnn.core.Segmenter

/** The camera with the colours of its classes over it. */
class MainActivity : ComponentActivity() {
  // A delegate wants the thread that made it: this one opens models, runs and closes them.
  private val worker = Executors.newSingleThreadExecutor()
  private val frames = Frames()
  private lateinit var screen: Screen
  private lateinit var feed: CameraFeed

  @Volatile private var fit = Fit.LETTERBOX
  private var open: OpenModel? = null // the worker's

  private val permission =
    registerForActivityResult(ActivityResultContracts.RequestPermission()) { isAllowed ->
      if (isAllowed) startCamera()
      else screen.showCamera(getString(R.string.camera_denied), canAllow = true)
    }

  override fun onCreate(savedInstanceState: Bundle?) {
    super.onCreate(savedInstanceState)
    window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
    val models = Models.names(this)
    screen = Screen(this, models)
    setContentView(screen.root)
    if (models.isEmpty()) {
      screen.status.setText(R.string.no_models)
      return
    }
    feed =
      CameraFeed(this, screen.preview, worker, ::segment) { screen.showCamera(it.message) }
    control(models)
    val state = ContextCompat.checkSelfPermission(this, Manifest.permission.CAMERA)
    if (state == PackageManager.PERMISSION_GRANTED) startCamera() else askForCamera()
  }

  private fun control(models: List<String>) {
    showFit()
    screen.fit.setOnClickListener {
      fit = if (fit == Fit.LETTERBOX) Fit.STRETCH else Fit.LETTERBOX
      showFit()
    }
    screen.turn.setOnClickListener { feed.turn() }
    screen.allow.setOnClickListener { askForCamera() }
    screen.benchmark.setOnClickListener {
      val chosen = models[screen.model.selectedItemPosition]
      startActivity(
        Intent(this, BenchmarkActivity::class.java).putExtra(BenchmarkActivity.MODEL, chosen)
      )
    }
    screen.opacity.setOnSeekBarChangeListener(
      object : SeekBar.OnSeekBarChangeListener {
        override fun onProgressChanged(bar: SeekBar, progress: Int, fromUser: Boolean) {
          screen.overlay.opacity = progress / 100f
        }

        override fun onStartTrackingTouch(bar: SeekBar) = Unit

        override fun onStopTrackingTouch(bar: SeekBar) = Unit
      }
    )
    screen.model.onItemSelectedListener =
      object : AdapterView.OnItemSelectedListener {
        override fun onItemSelected(parent: AdapterView<*>?, view: View?, place: Int, id: Long) =
          choose(models[place])

        override fun onNothingSelected(parent: AdapterView<*>?) = Unit
      }
  }

  private fun showFit() =
    screen.fit.setText(if (fit == Fit.LETTERBOX) R.string.fit_letterbox else R.string.fit_stretch)

  private fun askForCamera() = permission.launch(Manifest.permission.CAMERA)

  private fun startCamera() {
    screen.showCamera(null)
    feed.start()
  }

  private fun choose(name: String) {
    screen.showModel(getString(R.string.opening, name))
    worker.execute {
      close()
      try {
        val model = Models.open(this, name)
        open = model
        runOnUiThread { screen.showModel(model.segmenter.network.runs, model.notes) }
      } catch (failure: Failure) {
        runOnUiThread { screen.showModel(failure.message) }
      }
    }
  }

  /** On the worker; the frame is closed last, so that the next one is the newest there is then. */
  private fun segment(image: ImageProxy, isFront: Boolean) {
    val model = open
    try {
      if (model == null) return
      val rotation = image.imageInfo.rotationDegrees
      val frame = frames.copy(image)
      val result = model.segmenter.segment(frame, rotation, isFront, fit)
      val size = frame.uprightSize(rotation)
      val times = times(model.segmenter)
      runOnUiThread {
        screen.overlay.show(result, size)
        screen.legend.text = Legend.text(model.segmenter.info, result.shares)
        screen.status.text = getString(R.string.status, model.segmenter.network.runs, times)
      }
    } catch (failure: Failure) {
      close() // the same would come with every frame
      runOnUiThread { screen.showModel(failure.message) }
    } finally {
      image.close()
    }
  }

  /** Medians of the last frames: `convert 3.1 · network 20.5 · ... ms`. */
  private fun times(segmenter: Segmenter): String {
    segmenter.times.keep(LAST)
    val steps = segmenter.times.summary().map { (step, summary) ->
      String.format(Locale.getDefault(), "%s %.1f", step, summary.median)
    }
    return steps.joinToString(" · ") + " ms"
  }

  private fun close() {
    open?.segmenter?.close()
    open = null
  }

  override fun onDestroy() {
    super.onDestroy()
    worker.execute(::close)
    worker.shutdown()
  }

  private companion object {
    const val LAST = 30
  }
}
