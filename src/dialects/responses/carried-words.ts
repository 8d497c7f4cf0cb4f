/**
 * Words that carry what this dialect has no field for. Written and read by exactly these texts, so that they go and come back.
 */

/** Stands first in the output of a tool that failed: the item's `status` says so too, but nobody promises that models see it. */
export const ERROR_MARK = 'Error:';

/** The name of a file that has none: servers ask for one beside the data. */
export const UNTITLED = 'document.pdf';
