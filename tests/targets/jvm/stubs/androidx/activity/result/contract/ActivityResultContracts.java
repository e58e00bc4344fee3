// Signatures as used, of androidx activity 1.10 (developer.android.com/reference).
package androidx.activity.result.contract;

public final class ActivityResultContracts {
  public static final class RequestPermission extends ActivityResultContract<String, Boolean> {}
}
