package org.fastscnn.app

import android.util.Size
import androidx.activity.ComponentActivity
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.core.ImageProxy
import androidx.camera.core.Preview
import androidx.camera.core.resolutionselector.AspectRatioStrategy
import androidx.camera.core.resolutionselector.ResolutionSelector
import androidx.camera.core.resolutionselector.ResolutionStrategy
import androidx.camera.lifecycle.ProcessCameraProvider
import androidx.camera.view.PreviewView
import androidx.core.content.ContextCompat
import java.util.concurrent.Executor
import org.fastscnn.core.Failure
import org.fastscnn.core.reasonOf

/**
 * Preview and analysis of one camera, both 4:3, so that what is segmented is what is seen.
 *
 * @param worker runs [onFrame]; frames that come while it is busy are dropped.
 * @param onFrame must close the frame.
 * @param onFailure on the main thread.
 */
class CameraFeed(
  private val activity: ComponentActivity,
  private val view: PreviewView,
  private val worker: Executor,
  private val onFrame: (ImageProxy, isFront: Boolean) -> Unit,
  private val onFailure: (Failure) -> Unit,
) {
  private var provider: ProcessCameraProvider? = null

  var isFront = false
    private set

  fun start() {
    val future = ProcessCameraProvider.getInstance(activity)
    future.addListener(
      {
        try {
          provider = future.get()
          bind()
        } catch (error: Exception) {
          fail(error)
        }
      },
      ContextCompat.getMainExecutor(activity),
    )
  }

  /** The other camera, if there is one. */
  fun turn() {
    isFront = !isFront
    try {
      bind()
    } catch (error: Exception) {
      fail(error)
    }
  }

  private fun fail(error: Exception) {
    val reason = reasonOf(error.cause ?: error)
    onFailure(error as? Failure ?: Failure(activity.getString(R.string.camera_failed, reason)))
  }

  private fun bind() {
    val cameras = provider ?: return
    val wanted = listOf(isFront, !isFront)
    isFront = wanted.firstOrNull { cameras.hasCamera(selector(it)) }
      ?: throw Failure(activity.getString(R.string.camera_none))
    val front = isFront
    val preview = Preview.Builder().setResolutionSelector(shape().build()).build()
    preview.setSurfaceProvider(view.surfaceProvider)
    // Near the model's size: the converter reads four pixels for each that it makes.
    val near = ResolutionStrategy(SIZE, ResolutionStrategy.FALLBACK_RULE_CLOSEST_HIGHER_THEN_LOWER)
    val analysis =
      ImageAnalysis.Builder()
        .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
        .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_YUV_420_888)
        .setResolutionSelector(shape().setResolutionStrategy(near).build())
        .build()
    analysis.setAnalyzer(worker) { onFrame(it, front) }
    cameras.unbindAll()
    cameras.bindToLifecycle(activity, selector(front), preview, analysis)
  }

  private fun selector(front: Boolean): CameraSelector =
    if (front) CameraSelector.DEFAULT_FRONT_CAMERA else CameraSelector.DEFAULT_BACK_CAMERA

  private fun shape(): ResolutionSelector.Builder =
    ResolutionSelector.Builder()
      .setAspectRatioStrategy(AspectRatioStrategy.RATIO_4_3_FALLBACK_AUTO_STRATEGY)

  private companion object {
    val SIZE = Size(640, 480)
  }
}
