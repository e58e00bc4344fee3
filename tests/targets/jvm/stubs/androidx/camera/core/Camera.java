// Signatures as used, of androidx camera-core 1.4 (developer.android.com/reference).
package androidx.camera.core;

public interface Camera {}
