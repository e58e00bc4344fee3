// Signatures as used, of litert-gpu 1.4 (GpuDelegate.java).
package org.tensorflow.lite.gpu;

import org.tensorflow.lite.Delegate;

public class GpuDelegate implements Delegate {
  public GpuDelegate(GpuDelegateFactory.Options options) {}

  @Override
  public long getNativeHandle() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}
}
