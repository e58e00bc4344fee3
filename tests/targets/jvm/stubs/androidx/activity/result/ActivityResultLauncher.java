// Signatures as used, of androidx activity 1.10 (developer.android.com/reference).
package androidx.activity.result;

public abstract class ActivityResultLauncher<I> {
  public void launch(I input) {}
}
