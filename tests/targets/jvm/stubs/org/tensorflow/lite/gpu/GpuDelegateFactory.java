// Signatures as used, of litert-gpu-api 1.4 (GpuDelegateFactory.java).
package org.tensorflow.lite.gpu;

public class GpuDelegateFactory {
  public static class Options {
    public static final int INFERENCE_PREFERENCE_FAST_SINGLE_ANSWER = 0;
    public static final int INFERENCE_PREFERENCE_SUSTAINED_SPEED = 1;

    public Options setPrecisionLossAllowed(boolean allowed) {
      return this;
    }

    public Options setQuantizedModelsAllowed(boolean allowed) {
      return this;
    }

    public Options setInferencePreference(int preference) {
      return this;
    }

    public Options setSerializationParams(String folder, String token) {
      return this;
    }
  }
}
