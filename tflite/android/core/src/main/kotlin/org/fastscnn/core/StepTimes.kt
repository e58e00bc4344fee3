package org.fastscnn.core

/** How long each step of many frames took. */
class StepTimes {
  private val times = LinkedHashMap<String, MutableList<Long>>()

  fun <T> measure(step: String, block: () -> T): T {
    val start = System.nanoTime()
    val result = block()
    add(step, System.nanoTime() - start)
    return result
  }

  @Synchronized
  fun add(step: String, nanoseconds: Long) {
    times.getOrPut(step) { ArrayList() } += nanoseconds
  }

  /** Forgets all but the last [frames] of each step. */
  @Synchronized
  fun keep(frames: Int) {
    for (list in times.values) if (list.size > frames) list.subList(0, list.size - frames).clear()
  }

  @Synchronized
  fun summary(): Map<String, Summary> = times.mapValues { Summary.of(it.value) }

  /** In milliseconds; p90 is the least time that at least 90 % of the frames did not exceed. */
  data class Summary(
    val count: Int,
    val median: Double,
    val mean: Double,
    val p90: Double,
    val least: Double,
    val greatest: Double,
  ) {
    fun toMap(): Map<String, Any> =
      mapOf(
        "count" to count,
        "median_ms" to median,
        "mean_ms" to mean,
        "p90_ms" to p90,
        "min_ms" to least,
        "max_ms" to greatest,
      )

    companion object {
      fun of(nanoseconds: List<Long>): Summary {
        val sorted = nanoseconds.map { it / 1e6 }.sorted()
        val n = sorted.size
        val middle = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2
        val p90 = sorted[(9 * n + 9) / 10 - 1]
        return Summary(n, middle, sorted.sum() / n, p90, sorted.first(), sorted.last())
      }
    }
  }
}
