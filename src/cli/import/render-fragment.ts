import { stringify } from 'yaml';
import type { Fragment } from './litellm-config.ts';

/** A fragment of the configuration file as YAML, without the anchors that our reader refuses. */
export function renderFragment(fragment: Fragment): string {
  return stringify(fragment, { aliasDuplicateObjects: false, lineWidth: 0 });
}
