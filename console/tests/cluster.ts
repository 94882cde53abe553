import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { parse } from 'yaml';

const FILE = process.env['BROKKR_TEST_KUBECONFIG'];

interface Kubeconfig {
  clusters: { cluster: { server: string; 'certificate-authority': string } }[];
  users: { user: { token: string } }[];
}

interface Answer {
  status: number;
  text: string;
}

/** The real cluster of the tests, as somebody with kubectl meets it. */
export class Cluster {
  readonly kubeconfig: string;
  readonly #server: string;
  readonly #ca: Buffer;
  readonly #token: string;

  constructor() {
    if (!FILE) throw new Error('there is no cluster: scripts/console-tests starts one');
    const { clusters, users } = parse(readFileSync(FILE, 'utf8')) as Kubeconfig;
    const [cluster, user] = [clusters[0]?.cluster, users[0]?.user];
    if (!cluster || !user) throw new Error(`${FILE} names no cluster, or nobody who may use it`);
    this.kubeconfig = FILE;
    this.#server = cluster.server;
    this.#ca = readFileSync(cluster['certificate-authority']);
    this.#token = user.token;
  }

  /** The names of the ConfigMaps of a namespace that have a label of ours. */
  async configMaps(namespace: string): Promise<string[]> {
    const { text } = await this.#ask('GET', `/api/v1/namespaces/${namespace}/configmaps?labelSelector=part`);
    const { items } = JSON.parse(text) as { items: { metadata: { name: string } }[] };
    return items.map(({ metadata }) => metadata.name);
  }

  /** A value of a ConfigMap, if it is there. */
  async value(namespace: string, name: string): Promise<string | undefined> {
    const { status, text } = await this.#ask('GET', `/api/v1/namespaces/${namespace}/configmaps/${name}`);
    return status === 200 ? (JSON.parse(text) as { data: { value: string } }).data.value : undefined;
  }

  /** Takes away what the agent applied, as nobody should. */
  async delete(namespace: string, name: string): Promise<void> {
    const { status } = await this.#ask('DELETE', `/api/v1/namespaces/${namespace}/configmaps/${name}`);
    if (status !== 200) throw new Error(`${name} could not be deleted: ${status}`);
  }

  #ask(method: string, path: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { method, ca: this.#ca, headers: { Authorization: `Bearer ${this.#token}` } };
      const sent = request(this.#server + path, options, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (piece: string) => (text += piece));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      });
      sent.on('error', reject);
      sent.end();
    });
  }
}
