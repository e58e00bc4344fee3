/** What the page says: a status, which screen readers read in their time, and complaints, at once. */

import { Stopped } from './engine.js';
import { InputError } from './errors.js';

const status = document.getElementById('status');
const problem = document.getElementById('problem');

export function tell(text) {
  status.textContent = text;
}

export function complain(error) {
  if (error instanceof Stopped) return;
  const expected = error instanceof InputError;
  problem.textContent = expected ? error.message : `This failed here: ${error.message}.`;
  if (!expected) console.error(error);
}

/** An action of the user's, which ends an old complaint and may end with a new one. */
export function attempt(action) {
  return async (...given) => {
    problem.textContent = '';
    try {
      await action(...given);
    } catch (error) {
      complain(error);
    }
  };
}
