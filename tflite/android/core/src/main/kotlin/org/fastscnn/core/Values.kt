package org.fastscnn.core

/** The content of an input or output tensor, in its own type. */
sealed interface Values {
  val size: Int

  /** uint8 or int8. */
  class Bytes(val data: ByteArray) : Values {
    override val size: Int
      get() = data.size
  }

  /** float32. */
  class Floats(val data: FloatArray) : Values {
    override val size: Int
      get() = data.size
  }
}

/** Something that runs a model; one thread at a time, the one that opened it. */
interface Network : AutoCloseable {
  /** What runs it, for people: `CompiledModel, GPU`. */
  val runs: String

  /** Logits for an input of the model's size and type. */
  fun run(input: Values): Values
}
