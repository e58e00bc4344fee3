// Signatures as used, of androidx camera-core 1.4 (developer.android.com/reference).
package androidx.camera.core;

public final class CameraSelector {
  public static final CameraSelector DEFAULT_FRONT_CAMERA = new CameraSelector();
  public static final CameraSelector DEFAULT_BACK_CAMERA = new CameraSelector();
}
