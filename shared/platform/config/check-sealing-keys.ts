/** Keys of AES-256-GCM as a file gives them: 32 bytes each, and no id twice. */
import type { SealingKey } from '../sealing.ts';
import type { Questions } from './questions.ts';

/** Refuses what is no key, at its place under `goldcrest.<section>.sealing_keys`. */
export function checkSealingKeys(section: string, keys: readonly SealingKey[], questions: Questions): void {
  keys.forEach(({ id, key }, index) => {
    const path = ['goldcrest', section, 'sealing_keys', index];
    if (Buffer.from(key.reveal(), 'base64').length !== 32) {
      questions.refuse([...path, 'key'], 'must be base64 of 32 bytes');
    }
    if (keys.findIndex((other) => other.id === id) !== index) questions.refuse([...path, 'id'], 'is used twice');
  });
}
