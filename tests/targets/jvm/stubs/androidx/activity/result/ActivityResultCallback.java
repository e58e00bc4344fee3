// Signatures as used, of androidx activity 1.10 (developer.android.com/reference).
package androidx.activity.result;

public interface ActivityResultCallback<O> {
  void onActivityResult(O result);
}
