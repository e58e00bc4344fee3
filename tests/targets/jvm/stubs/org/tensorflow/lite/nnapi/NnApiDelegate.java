// Signatures as used, of litert 1.4 (NnApiDelegate.java).
package org.tensorflow.lite.nnapi;

import org.tensorflow.lite.Delegate;

public class NnApiDelegate implements Delegate, AutoCloseable {
  public NnApiDelegate(Options options) {}

  @Override
  public long getNativeHandle() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}

  public static final class Options {
    public static final int EXECUTION_PREFERENCE_UNDEFINED = -1;
    public static final int EXECUTION_PREFERENCE_LOW_POWER = 0;
    public static final int EXECUTION_PREFERENCE_FAST_SINGLE_ANSWER = 1;
    public static final int EXECUTION_PREFERENCE_SUSTAINED_SPEED = 2;

    public Options setExecutionPreference(int preference) {
      return this;
    }

    public Options setAcceleratorName(String name) {
      return this;
    }

    public Options setCacheDir(String folder) {
      return this;
    }

    public Options setModelToken(String token) {
      return this;
    }

    public Options setMaxNumberOfDelegatedPartitions(int limit) {
      return this;
    }

    public Options setUseNnapiCpu(boolean enable) {
      return this;
    }

    public Options setAllowFp16(boolean enable) {
      return this;
    }
  }
}
