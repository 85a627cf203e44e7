/** `scontrol ping`: whether a controller answers. */

export function buildPing(): string[] {
  return ['scontrol', 'ping'];
}

/** Slurm 22.05.8: `Slurmctld(primary) at vm is UP`, a line for each controller; one that is up suffices. */
export function isUp(output: string): boolean {
  return /^Slurmctld\(\w+\) at .* is UP$/m.test(output);
}
