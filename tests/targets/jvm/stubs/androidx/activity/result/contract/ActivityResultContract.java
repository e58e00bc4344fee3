// Signatures as used, of androidx activity 1.10 (developer.android.com/reference).
package androidx.activity.result.contract;

public abstract class ActivityResultContract<I, O> {}
