// Signatures as used, of litert 1.4 (Interpreter.java, InterpreterApi.java).
package org.tensorflow.lite;

import java.nio.ByteBuffer;

public final class Interpreter implements AutoCloseable {
  public Interpreter(ByteBuffer model, Options options) {}

  public void run(Object input, Object output) {}

  @Override
  public void close() {}

  public static class Options {
    public Options setNumThreads(int threads) {
      return this;
    }

    public Options setUseXNNPACK(boolean use) {
      return this;
    }

    public Options addDelegate(Delegate delegate) {
      return this;
    }
  }
}
