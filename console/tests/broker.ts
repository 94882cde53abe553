import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BINARY = process.env['BROKKR'] ?? '../target/debug/brokkr';

/** A broker of a test's own, and what an operator does with it besides the console. */
export class Broker {
  url = '';
  key = '';
  #port = '0';
  #process: ChildProcess | undefined;
  /** Who lives by this broker, and ends before it. */
  readonly #others: ChildProcess[] = [];

  private constructor(readonly folder: string) {}

  static async start(): Promise<Broker> {
    const broker = new Broker(await mkdtemp(join(tmpdir(), 'brokkr-console.')));
    await broker.start();
    return broker;
  }

  async start(): Promise<void> {
    const database = `sqlite:${join(this.folder, 'broker.db')}`;
    const file = join(this.folder, 'admin.key');
    const process = spawn(BINARY, ['broker', '--listen', `127.0.0.1:${this.#port}`, '--database', database, '--admin-key-file', file], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#process = process;
    const [line] = (await once(process.stdout, 'data')) as [Buffer];
    this.url = line.toString().trim().replace('listening on ', '');
    this.#port = new URL(this.url).port;
    this.key = (await readFile(file, 'utf8')).trim();
  }

  /** Ends it as the system's manager would. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (!process) return;
    this.#process = undefined;
    process.kill('SIGTERM');
    await once(process, 'exit');
  }

  async end(): Promise<void> {
    const ended = this.#others.filter(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
    for (const other of this.#others.splice(0)) {
      if (!other.kill('SIGKILL')) continue;
      await once(other, 'exit');
    }
    await this.stop();
    await rm(this.folder, { recursive: true });
    if (ended.length > 0) throw new Error(`ended by itself: ${ended.map(({ spawnargs }) => spawnargs.join(' ')).join(', ')}`);
  }

  /** Asks the API, with the admin's key unless another is given. */
  async ask<T>(method: string, path: string, body?: unknown, key = this.key): Promise<T> {
    const request: RequestInit = { method, headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' } };
    if (body !== undefined) request.body = JSON.stringify(body);
    const send = () => fetch(`${this.url}/api/v1${path}`, request);
    // The broker ends connections that nobody uses for ten seconds, perhaps just when one is used again.
    const answer = await send().catch(send);
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  }

  publish(stack: string, value: string): Promise<unknown> {
    const manifests = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {value: '${value}'}\n`;
    return this.ask('POST', `/stacks/${stack}/deployment-objects`, { manifests });
  }

  /** Lets so many agents live, without publishes of their own, until the broker's end. */
  async simulate(agents: number): Promise<void> {
    const environment = { ...process.env, HOME: this.folder };
    const file = join(this.folder, 'admin.key');
    await once(spawn(BINARY, ['login', '--server', this.url, '--key-file', file], { env: environment, stdio: 'ignore' }), 'exit');
    const options = ['--agents', String(agents), '--publishes', '0.1', '--duration', '10m', '--keep'];
    this.#others.push(spawn(BINARY, ['simulate', ...options], { env: environment, stdio: 'ignore' }));
  }

  /** Registers an agent, and lets it look after a cluster, with its own records in a namespace, until the broker's end. */
  async agent(name: string, kubeconfig: string, namespace: string): Promise<void> {
    const { pak } = await this.ask<{ pak: string }>('POST', '/agents', { name });
    const file = join(this.folder, `${name}.key`);
    await writeFile(file, pak, { mode: 0o600 });
    const options = ['--broker', this.url, '--key-file', file, '--kubeconfig', kubeconfig, '--namespace', namespace];
    this.#others.push(spawn(BINARY, ['agent', ...options], { stdio: 'ignore' }));
  }
}
