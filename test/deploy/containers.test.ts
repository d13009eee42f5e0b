/** Image, compose file and manifests: what they take is there, what they start is allowed, and they let in no more. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { fileOf, runProgram } from '../commands/program.ts';
import { installed } from '../services.ts';
import { yamlDocuments } from './yaml.ts';

const textOf = (file: string) => readFileSync(fileOf(file), 'utf8');
const hasYaml = installed('/usr/bin/yamllint', 'Debian package yamllint');

describe.runIf(hasYaml)('YAML', () => {
  test('yamllint has nothing to say', () => {
    const rules =
      '{extends: default, rules: {line-length: {max: 160}, document-start: disable, truthy: disable, comments: disable, indentation: {indent-sequences: whatever}}}';
    const { stdout, status } = spawnSync('yamllint', ['-d', rules, fileOf('deploy')], { encoding: 'utf8' });
    expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
  });
});

describe('the image', () => {
  const lines = textOf('deploy/container/Containerfile')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  const args = (word: string) =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));

  test('what it copies is there, and let in by .dockerignore', () => {
    const copied = args('COPY')
      .filter((line) => !line.startsWith('--from'))
      .flatMap((line) => line.split(' ').slice(0, -1));
    expect(copied).toContain('package-lock.json');
    expect(copied.filter((path) => !existsSync(fileOf(path)))).toEqual([]);
    const ignored = textOf('.dockerignore').trim().split('\n');
    expect(ignored[0]).toBe('*');
    expect(ignored.slice(1).sort()).toEqual(copied.map((path) => `!${path}`).sort());
  });

  test('it runs as a user by number, and no root, with what npm needs left behind', () => {
    expect(args('USER')).toEqual(['10001:0']);
    expect(lines.filter((line) => line.startsWith('FROM'))).toHaveLength(2);
    const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM')));
    expect(last.filter((line) => line.includes('npm '))).toEqual([]);
  });

  test('what it starts is a command of the program', async () => {
    const [entry = ''] = args('ENTRYPOINT');
    expect(JSON.parse(entry)).toEqual(['node', '/opt/kmod-gate/dist/main.js']);
    const command: string[] = JSON.parse(args('CMD')[0] ?? '');
    const { code, stderr } = await runProgram(...command);
    // As far as reading its configuration, which is not there.
    expect(stderr).toMatch(/^\/etc\/kmod-gate\/kmod-gate\.toml: /);
    expect(code).toBe(2);
  });
});

const Labels = z.object({ 'app.kubernetes.io/name': z.literal('kmod-gate') }).loose();
const Probe = z.object({ httpGet: z.object({ path: z.string(), port: z.literal('http') }) }).loose();
const Container = z.object({
  image: z.string(),
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
  }),
  ports: z.tuple([z.strictObject({ name: z.literal('http'), containerPort: z.number() })]),
  startupProbe: Probe,
  livenessProbe: Probe,
  readinessProbe: Probe,
  resources: z.object({
    requests: z.object({ memory: z.string() }).loose(),
    limits: z.object({ memory: z.string() }),
  }),
  volumeMounts: z.array(
    z.object({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() }),
  ),
});
/** Of a Deployment what the gate needs, and what a cluster that lets nobody be root asks for. */
const Deployment = z.object({
  apiVersion: z.literal('apps/v1'),
  spec: z.object({
    replicas: z.number(),
    strategy: z.object({ type: z.string() }).loose(),
    selector: z.object({ matchLabels: Labels }),
    template: z.object({
      metadata: z.object({ labels: Labels }),
      spec: z.object({
        automountServiceAccountToken: z.literal(false),
        serviceAccountName: z.string(),
        securityContext: z.object({
          runAsNonRoot: z.literal(true),
          fsGroup: z.number().optional(),
          seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
        }),
        containers: z.tuple([Container.loose()]),
        volumes: z.array(z.object({ name: z.string() }).loose()),
      }),
    }),
  }),
});
const Any = z.object({ kind: z.string(), metadata: z.object({ name: z.string() }).loose() }).loose();

/** kubectl is in no package of Debian's. */
const hasKubectl = existsSync('/usr/bin/kubectl');
if (!hasKubectl)
  process.stderr.write('SKIPPED: /usr/bin/kubectl is missing: the manifests are not put together\n');

describe.runIf(hasYaml && hasKubectl)('the manifests', () => {
  /** Put together, by kind. */
  function build(...parts: string[]): Map<string, z.infer<typeof Any>> {
    const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-kubernetes-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    cpSync(fileOf('deploy/kubernetes'), folder, { recursive: true });
    const [first, ...components] = parts.map((part) => `./${part}`);
    const wanted = { resources: [first], components };
    writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(wanted));
    const text = execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
    return new Map(
      yamlDocuments(text)
        .map((document) => Any.parse(document))
        .map((one) => [one.kind, one]),
    );
  }
  const deploymentOf = (built: Map<string, unknown>) => Deployment.parse(built.get('Deployment')).spec;
  const configOf = (built: Map<string, z.infer<typeof Any>>): string => {
    const data = built.get('Secret')?.['data'] as Record<string, string> | undefined;
    return Buffer.from(data?.['kmod-gate.toml'] ?? '', 'base64').toString();
  };

  /** What `config check` makes of a configuration, which must be valid. */
  async function understood(config: string): Promise<string> {
    const file = join(mkdtempSync(join(tmpdir(), 'kmod-gate-')), 'kmod-gate.toml');
    onTestFinished(() => rmSync(join(file, '..'), { recursive: true }));
    writeFileSync(file, config);
    const { code, stdout } = await runProgram('config', 'check', file);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    return stdout;
  }

  test('one gate with SQLite: never two pods on one store', async () => {
    const built = build('base');
    const { replicas, strategy, template } = deploymentOf(built);
    expect([replicas, strategy]).toEqual([1, { type: 'Recreate' }]);
    expect(built.has('PersistentVolumeClaim')).toBe(true);
    const [{ startupProbe, livenessProbe, readinessProbe, volumeMounts, ports }] = template.spec.containers;
    expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path)).toEqual([
      '/healthz',
      '/healthz',
      '/readyz',
    ]);
    const volumes = template.spec.volumes.map(({ name }) => name);
    expect(volumeMounts.map(({ name }) => name).sort()).toEqual(volumes.sort());
    // Its configuration is valid, its store is on the volume, and it listens where it is asked.
    const config = configOf(built);
    await understood(config);
    expect(config).toContain('url = "sqlite:/var/lib/kmod-gate/');
    expect(volumeMounts).toContainEqual({ name: 'store', mountPath: '/var/lib/kmod-gate' });
    expect(config).toContain(`listen = "0.0.0.0:${ports[0].containerPort}"`);
  });

  test('policies are for the pods of the gate, and no others in the namespace', () => {
    const built = build('base');
    const labels = { 'app.kubernetes.io/name': 'kmod-gate' };
    expect(built.get('NetworkPolicy')?.['spec']).toMatchObject({ podSelector: { matchLabels: labels } });
    expect(built.get('PodDisruptionBudget')?.['spec']).toMatchObject({ selector: { matchLabels: labels } });
    expect(built.get('Service')?.['spec']).toMatchObject({ selector: labels });
  });

  test('several gates share a PostgreSQL, and nothing else', async () => {
    const [one, several] = [build('base'), build('postgres')];
    const { replicas, strategy, template } = deploymentOf(several);
    expect([replicas, strategy.type]).toEqual([2, 'RollingUpdate']);
    expect(several.has('PersistentVolumeClaim')).toBe(false);
    expect(JSON.stringify(template)).not.toContain('persistentVolumeClaim');
    expect(several.get('NetworkPolicy')?.['spec']).toMatchObject({
      egress: [{}, { ports: expect.arrayContaining([{ port: 5432, protocol: 'TCP' }]) }],
    });
    const store = /^(# Every .*\n# kmod-gate-hub\.\n)?url = "(sqlite|postgres):.*\n/gm;
    expect(configOf(several)).toMatch(/^url = "postgres:\/\//m);
    expect(await understood(configOf(several))).toContain('store      postgres://kmod-gate:***@');
    expect(configOf(several).replace(store, '')).toBe(configOf(one).replace(store, ''));
  });

  test('on OpenShift the project gives the groups, and the router comes in', () => {
    const built = build('postgres', 'openshift');
    expect(deploymentOf(built).template.spec.securityContext.fsGroup).toBeUndefined();
    expect(built.get('Route')?.['spec']).toMatchObject({
      to: { name: 'kmod-gate' },
      tls: { termination: 'edge' },
    });
    expect(JSON.stringify(built.get('NetworkPolicy'))).toContain('policy-group.network.openshift.io/ingress');
  });

  test('every file is part of something', () => {
    const folders = ['base', 'postgres', 'openshift'];
    const unused = folders.flatMap((folder) => {
      const used = textOf(`deploy/kubernetes/${folder}/kustomization.yaml`);
      const files = readdirSync(fileOf(`deploy/kubernetes/${folder}`));
      return files.filter((file) => file !== 'kustomization.yaml' && !used.includes(`- ${file}`));
    });
    expect(unused).toEqual([]);
  });
});

describe.runIf(hasYaml)('the compose file', () => {
  const Service = z.object({ image: z.string(), ports: z.array(z.string()).default([]) }).loose();
  const Compose = z.strictObject({ services: z.record(z.string(), Service) });
  const { services } = hasYaml
    ? Compose.parse(yamlDocuments(textOf('deploy/container/compose.yaml'))[0])
    : { services: {} };

  test('has what the tests want, and shows it to this machine alone', () => {
    expect(Object.keys(services).sort()).toEqual(['demo', 'postgres', 'rabbitmq']);
    const ports = Object.values(services).flatMap((service) => service.ports);
    expect(ports).toEqual(expect.arrayContaining(['127.0.0.1:5672:5672', '127.0.0.1:5432:5432']));
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });
  test('the demo is built from the image here', () => {
    expect(services['demo']).toMatchObject({
      build: { context: '../..', dockerfile: 'deploy/container/Containerfile' },
      command: ['demo', '--serve'],
      read_only: true,
    });
  });
});
