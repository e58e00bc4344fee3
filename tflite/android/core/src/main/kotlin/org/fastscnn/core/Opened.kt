package org.fastscnn.core

/** A network, and what was not as the settings have it. */
class Opened(val network: Network, val notes: List<String>) {
  companion object {
    /**
     * Opens the first attempt of a plan that can be opened.
     *
     * @param open may throw anything; what it says becomes a note, or the message if nothing opens.
     * @throws Failure none can be opened.
     */
    fun first(
      name: String,
      plan: EnginePlan,
      open: (List<Accelerator>, MutableList<String>) -> Network,
    ): Opened {
      val notes = ArrayList(plan.notes)
      for (attempt in plan.attempts) {
        val said = ArrayList<String>()
        try {
          val network = open(attempt, said)
          return Opened(network, notes + said)
        } catch (error: Failure) {
          throw error
        } catch (error: Exception) {
          notes += "${shown(attempt)} refuses $name: ${reasonOf(error)}"
        } catch (error: LinkageError) { // a phone without the library
          notes += "${shown(attempt)} is not there: ${reasonOf(error)}"
        }
      }
      throw Failure(notes.last() + "; choose other settings (fastscnn settings $name --for DEVICE)")
    }

    private fun shown(attempt: List<Accelerator>) = attempt.joinToString(" and ") { it.name }
  }
}
