package org.fastscnn.app

import android.content.Context
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.FrameLayout
import android.widget.LinearLayout
import android.widget.SeekBar
import android.widget.Spinner
import android.widget.TextView
import androidx.camera.view.PreviewView

/** The views of the camera's screen: picture and colours above, what they mean and controls below. */
class Screen(context: Context, models: List<String>) {
  val preview = PreviewView(context)
  val overlay = OverlayView(context)
  val status = TextView(context)
  val legend = TextView(context)
  val model = Spinner(context)
  val opacity = SeekBar(context)
  val fit = Button(context)
  val turn = Button(context)
  val benchmark = Button(context)
  val allow = Button(context)
  val root = LinearLayout(context)

  init {
    preview.scaleType = PreviewView.ScaleType.FIT_CENTER
    overlay.contentDescription = context.getString(R.string.overlay)
    legend.contentDescription = context.getString(R.string.legend)
    model.contentDescription = context.getString(R.string.model)
    model.adapter = ArrayAdapter(context, android.R.layout.simple_spinner_dropdown_item, models)
    opacity.contentDescription = context.getString(R.string.opacity)
    opacity.max = 100
    opacity.progress = Math.round(100 * overlay.opacity)
    turn.setText(R.string.camera_turn)
    benchmark.setText(R.string.benchmark)
    allow.setText(R.string.camera_allow)
    allow.visibility = android.view.View.GONE

    val picture = FrameLayout(context)
    picture.addView(preview)
    picture.addView(overlay)
    val buttons = LinearLayout(context)
    for (button in listOf(fit, turn, benchmark)) {
      buttons.addView(button, LinearLayout.LayoutParams(0, WRAP_CONTENT, 1f))
    }
    root.orientation = LinearLayout.VERTICAL
    root.fitsSystemWindows = true
    root.addView(picture, LinearLayout.LayoutParams(MATCH_PARENT, 0, 1f))
    for (view in listOf(status, allow, legend, model, opacity, buttons)) {
      root.addView(view, LinearLayout.LayoutParams(MATCH_PARENT, WRAP_CONTENT))
    }
  }
}
