/**
 * The text of ceph.conf for the smallest Ceph that serves S3: one monitor, one BlueStore OSD in a sparse file, one
 * gateway; no manager, no cephx. Source: Ceph's configuration reference, trials with Ceph 16.2.
 */

export interface CephLayout {
  folder: string;
  clusterId: string;
  monitorPort: number;
  monitorLegacyPort: number;
  gatewayPort: number;
  /** First and last port for the daemons' own connections; about ten are used. */
  daemonPorts: readonly [number, number];
  /** Size of the store, which is a sparse file: it takes up what was written. */
  blockSizeBytes: number;
}

/** A key that objects can be encrypted with (`aws:kms`). */
export const stagingKeyId = 'staging-key';

/** ceph.conf. */
export function cephConfText(layout: CephLayout): string {
  const sections: Record<string, Record<string, string | number | boolean>> = {
    global: { ...globalSettings(layout), ...poolSettings, ...storeSettings(layout) },
    'mon.a': { 'mon data': `${layout.folder}/mon` },
    'osd.0': { 'osd data': `${layout.folder}/osd` },
    'client.rgw': {
      // A gateway insists on secure mode, which needs cephx: without this it tries again for ever (-13).
      'ms mon client mode': 'crc secure',
      'rgw data': `${layout.folder}/rgw`,
      'rgw frontends': `beast endpoint=127.0.0.1:${layout.gatewayPort}`,
      'rgw dns name': 'localhost',
      'rgw lifecycle work time': '00:00-23:59',
      // Keys of the gateway's own stand-in for a key service; without TLS, as all here is on loopback.
      'rgw crypt require ssl': false,
      'rgw crypt s3 kms backend': 'testing',
      'rgw crypt s3 kms encryption keys': `${stagingKeyId}=${Buffer.alloc(32, 7).toString('base64')}`,
      'rgw thread pool size': 64,
    },
  };
  return Object.entries(sections)
    .map(([name, settings]) => {
      const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}`);
      return `[${name}]\n${lines.join('\n')}\n`;
    })
    .join('');
}

function globalSettings(layout: CephLayout) {
  return {
    fsid: layout.clusterId,
    'mon host': `[v2:127.0.0.1:${layout.monitorPort}/0,v1:127.0.0.1:${layout.monitorLegacyPort}/0]`,
    'public addr': '127.0.0.1',
    'cluster addr': '127.0.0.1',
    'ms bind port min': layout.daemonPorts[0],
    'ms bind port max': layout.daemonPorts[1],
    'auth cluster required': 'none',
    'auth service required': 'none',
    'auth client required': 'none',
    'auth allow insecure global id reclaim': true,
    'mon warn on insecure global id reclaim allowed': false,
    'run dir': layout.folder,
    'admin socket': `${layout.folder}/$name.asok`,
    'pid file': `${layout.folder}/$name.pid`,
    'crash dir': `${layout.folder}/crash`,
    'log file': '/dev/null',
    'mon cluster log file': '/dev/null',
    'debug mon': '0/0',
    'debug osd': '0/0',
    'debug rgw': '1/1',
    'debug ms': '0/0',
  };
}

const poolSettings = {
  // The monitor gathers changes for a second before it agrees on them, and the gateway's first start makes five pools.
  'paxos propose interval': 0.05,
  'paxos min wait': 0.01,
  'mon allow pool size one': true,
  'mon max pg per osd': 1000,
  'mon data avail crit': 1,
  'mon osd full ratio': 0.96,
  'mon osd nearfull ratio': 0.85,
  'osd pool default size': 1,
  'osd pool default min size': 1,
  'osd pool default pg num': 1,
  'osd pool default pgp num': 1,
  'osd pool default pg autoscale mode': 'off',
  'osd crush chooseleaf type': 0,
};

function storeSettings(layout: CephLayout) {
  return {
    'osd objectstore': 'bluestore',
    'bluestore block size': layout.blockSizeBytes,
    'bluestore block create': true,
    'osd memory target': 939_524_096,
    // Reads from a fresh sparse file say nothing about the disk; measuring it costs seconds at the first start.
    'osd mclock skip benchmark': true,
  };
}
