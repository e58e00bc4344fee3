/** A mistake in what the user gave: one line that says what was expected, what came, what to do. */
export class InputError extends Error {}
