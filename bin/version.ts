/** Which version this is. */
import { existsSync, readFileSync } from 'node:fs';

/** The version in package.json, two folders above dist/bin and dist/bundle, and three above dist/bundle/kcov. */
export function package_version(): string {
  const places = ['../../package.json', '../../../package.json'].map((place) => new URL(place, import.meta.url));
  const found = places.find((url) => existsSync(url)) ?? (places[0] as URL);
  return (JSON.parse(readFileSync(found, 'utf8')) as { version: string }).version;
}
