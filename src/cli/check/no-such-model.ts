/** A model that nobody serves. */
export const NO_SUCH_MODEL = 'plimsoll-check-no-such-model';
