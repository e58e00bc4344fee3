// Signatures as used, of androidx lifecycle-common 2.8 (developer.android.com/reference).
package androidx.lifecycle;

public interface LifecycleOwner {}
