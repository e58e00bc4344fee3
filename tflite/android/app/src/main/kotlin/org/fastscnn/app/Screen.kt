package org.fastscnn.app

import android.content.Context
import android.view.View
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

/** The views of the camera's screen: picture and colours above, meaning and controls below. */
class Screen(context: Context, models: List<String>) {
  val preview = PreviewView(context)
  val overlay = OverlayView(context)
  val camera = TextView(context) // why there is no picture
  val status = TextView(context)
  val notes = TextView(context)
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
    for (view in listOf(camera, notes, allow)) view.visibility = View.GONE

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
    for (view in listOf(camera, allow, status, notes, legend, model, opacity, buttons)) {
      root.addView(view, LinearLayout.LayoutParams(MATCH_PARENT, WRAP_CONTENT))
    }
  }

  /** Why there is no picture, or null. */
  fun showCamera(problem: String?, canAllow: Boolean = false) {
    camera.text = problem
    camera.visibility = if (problem == null) View.GONE else View.VISIBLE
    allow.visibility = if (canAllow) View.VISIBLE else View.GONE
  }

  /** What runs, and what is not as the settings have it; these notes stay. */
  fun showModel(state: String?, lines: List<String> = emptyList()) {
    status.text = state
    notes.text = lines.joinToString("\n")
    notes.visibility = if (lines.isEmpty()) View.GONE else View.VISIBLE
  }
}
