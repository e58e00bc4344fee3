package org.fastscnn.app

import android.content.Intent
import android.os.Build
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import androidx.activity.ComponentActivity
import java.util.concurrent.Executors
import org.fastscnn.core.Benchmark
import org.fastscnn.core.Failure
import org.fastscnn.core.Json

/** Times each step of a model on frames of 640x480 and gives the result as JSON to share. */
class BenchmarkActivity : ComponentActivity() {
  private val worker = Executors.newSingleThreadExecutor()
  private lateinit var text: TextView
  private lateinit var measure: Button
  private lateinit var share: Button
  private var result: String? = null

  override fun onCreate(savedInstanceState: Bundle?) {
    super.onCreate(savedInstanceState)
    val model = intent.getStringExtra(MODEL) ?: return finish()
    text = TextView(this)
    text.text = model
    text.setTextIsSelectable(true)
    measure = Button(this)
    measure.setText(R.string.benchmark_run)
    measure.setOnClickListener { start(model) }
    share = Button(this)
    share.setText(R.string.benchmark_share)
    share.visibility = View.GONE
    share.setOnClickListener { share() }
    val root = LinearLayout(this)
    root.orientation = LinearLayout.VERTICAL
    root.fitsSystemWindows = true
    for (button in listOf(measure, share)) root.addView(button)
    root.addView(ScrollView(this).apply { addView(text) })
    setContentView(root)
  }

  private fun start(model: String) {
    measure.isEnabled = false
    worker.execute {
      val shown =
        try {
          run(model)
        } catch (failure: Failure) {
          failure.message
        }
      runOnUiThread {
        text.text = shown
        measure.isEnabled = true
        share.visibility = if (result == null) View.GONE else View.VISIBLE
      }
    }
  }

  private fun run(model: String): String {
    result = null
    val open = Models.open(this, model)
    open.segmenter.use { segmenter ->
      val times =
        Benchmark.run(segmenter) { done, all ->
          runOnUiThread { text.text = getString(R.string.benchmark_running, model, done, all) }
        }
      val device =
        mapOf(
          "maker" to Build.MANUFACTURER,
          "model" to Build.MODEL,
          "api" to Build.VERSION.SDK_INT,
        )
      result = Json.write(Benchmark.report(segmenter, times, open.notes, device))
      return Benchmark.table(segmenter, times, open.notes)
    }
  }

  private fun share() {
    val send = Intent(Intent.ACTION_SEND).setType("application/json")
    send.putExtra(Intent.EXTRA_TEXT, result)
    startActivity(Intent.createChooser(send, getString(R.string.benchmark_share)))
  }

  override fun onDestroy() {
    super.onDestroy()
    worker.shutdown()
  }

  companion object {
    const val MODEL = "model"
  }
}
