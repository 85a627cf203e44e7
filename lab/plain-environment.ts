/** The environment of every program of the lab: the same on each machine, and free of what the caller's shell holds. */

/** A path with the system's daemons on it, the C locale, and the time zone of the caller. */
export function plainEnvironment(): Record<string, string> {
  return {
    PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`,
    LC_ALL: 'C.UTF-8',
    ...(process.env.TZ === undefined ? {} : { TZ: process.env.TZ }),
  };
}
