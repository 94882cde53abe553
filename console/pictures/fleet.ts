import type { Broker } from '../tests/broker';

const AGENTS = 60;
/** So many have polled; the others were only registered. */
const SEEN = 54;

interface Made {
  name: string;
  id: string;
  pak: string;
}

interface Target {
  agent: string;
  stack: string;
  stack_name: string;
}

function shop(version: number, more = ''): string {
  return `apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: ${version}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: main
          image: registry.example/web:${version}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: shop
data:
  version: "${version}"
${more}`;
}

const FLAGS = `---
apiVersion: v1
kind: ConfigMap
metadata:
  name: flags
  namespace: shop
data:
  beta: "on"
`;
const MONITORING = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: exporter\n';

/** A fleet that has something of everything. */
export async function live(broker: Broker): Promise<void> {
  await broker.ask('POST', '/generators', { name: 'ci', scope: { labels: 'env=test' } });
  await broker.ask('POST', '/stacks', { name: 'shop', labels: { team: 'shop' }, targeting: { rules: [{ labels: 'env=prod' }] } });
  await broker.ask('POST', '/stacks', { name: 'monitoring', targeting: { rules: [{ every_agent: true }] } });
  const agents: Made[] = [];
  for (let number = 1; number <= AGENTS; number++) agents.push(await register(broker, number));
  for (const [version, more] of [[1, ''], [2, ''], [3, FLAGS]] as const) {
    await broker.ask('POST', '/stacks/shop/deployment-objects', { manifests: shop(version, more), options: { message: `release ${version}` } });
  }
  await broker.ask('POST', '/stacks/monitoring/deployment-objects', { manifests: MONITORING });
  const { items } = await broker.ask<{ items: Target[] }>('GET', '/agent-targets?limit=500');
  for (const [at, agent] of agents.slice(0, SEEN).entries()) {
    await tell(broker, agent, at + 1, items.filter((target) => target.agent === agent.id));
  }
  await broker.ask('PATCH', '/agents/edge-5', { paused: true });
}

async function register(broker: Broker, number: number): Promise<Made> {
  const isTest = number % 3 === 0;
  const labels = { env: isTest ? 'test' : 'prod', region: isTest ? 'ap-south' : number % 2 ? 'us-east' : 'eu-central' };
  const { agent, pak } = await broker.ask<{ agent: Made; pak: string }>('POST', '/agents', { name: `edge-${number}`, labels });
  return { ...agent, pak };
}

/** What an agent tells of its stacks, most of them that all is well. */
async function tell(broker: Broker, { pak }: Made, number: number, targets: Target[]): Promise<void> {
  await broker.ask('POST', '/agent/session', { version: '0.2.0', features: [], cluster: `cluster-${number}` }, pak);
  await broker.ask('PUT', '/agent/facts', { kubernetes_version: '1.33.2', provider: 'kind', region: 'eu-1', kinds: ['apps/v1/Deployment', 'v1/ConfigMap'] }, pak);
  await broker.ask('GET', '/agent/target-state?interval=600', undefined, pak);
  const stacks = targets.map(({ stack, stack_name }) => {
    const head = stack_name === 'shop' ? 3 : 1;
    return { stack, seen: head, applied: head, sync: 'Synced', health: 'Current', ...(stack_name === 'shop' && trouble(number)) };
  });
  await broker.ask('PUT', '/agent/status', { stacks }, pak);
  const at = new Date().toISOString();
  const outcomes: Record<string, string> = { Failed: 'failed', Held: 'held' };
  const events = stacks.map(({ stack, seen, sync, ...rest }) => {
    const reason = 'reason' in rest ? rest.reason : undefined;
    return { id: crypto.randomUUID(), stack, sequence: seen, action: 'apply', outcome: outcomes[sync] ?? 'succeeded', reason, count: 1, first: at, last: at };
  });
  await broker.ask('POST', '/agent/events', { events }, pak);
}

function trouble(number: number): object | undefined {
  if (number % 17 === 0) {
    return { applied: 2, sync: 'Failed', reason: 'Deployment.apps shop/web: admission webhook "policy.example.org" denied the request: images must come from registry.example.com' };
  }
  if (number % 13 === 0) {
    return { health: 'Degraded', reason: 'Deployment.apps shop/web: 0 of 3 replicas are available; pod web-7d4b9c-x2x8q: container main is in CrashLoopBackOff' };
  }
  if (number % 11 === 0) {
    const objects = [1, 2, 3, 4].map((old) => ({ kind: 'ConfigMap', namespace: 'shop', name: `old-${old}` }));
    return { applied: 2, sync: 'Held', reason: 'it would delete 4 of the 12 objects that this agent owns', held: { cause: { snapshot: 3 }, objects, owned: 12 } };
  }
  return number % 7 === 0 ? { applied: 2, sync: 'Applying', health: 'Progressing' } : undefined;
}

/** A version of `shop` that has less than the newest. */
export const LESS = shop(4);
