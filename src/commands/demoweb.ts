/** What of Koji's web pages the demo's links lead to, and where `kmod-gate demo kernel` asks for the next kernel. */
import type { IncomingMessage } from 'node:http';
import { TASK } from '../core/model.ts';
import { type Html, html, markupOf } from '../http/html.ts';
import type { Page } from '../sim/server.ts';
import type { World } from '../sim/world.ts';

/** Where the next kernel is asked for: by POST, with the header, which no page of another site can send. */
export const NEXT_PATH = '/demo/kernel';
export const NEXT_HEADER = 'x-kmod-gate-demo';

const STATES = Object.fromEntries(Object.entries(TASK).map(([name, state]) => [state, name.toLowerCase()]));

/**
 * @param next brings the next kernel and tells its NVR; undefined: there is none any more
 */
export function demoPages(world: World, next: () => string | undefined) {
  return ({ method, url = '/', headers }: IncomingMessage): Page | undefined => {
    const { pathname, searchParams: query } = new URL(url, 'http://demo');
    if (method === 'POST' && pathname === NEXT_PATH) {
      if (headers[NEXT_HEADER] === undefined)
        return page(403, 'Forbidden', html`<p>Say it by the command.</p>`);
      const nvr = next();
      return {
        status: nvr ? 200 : 404,
        type: 'application/json',
        content: JSON.stringify({ nvr: nvr ?? null }),
      };
    }
    if (method !== 'GET' || !(pathname === '/koji' || pathname.startsWith('/koji/'))) return undefined;
    const id = Number(query.get('taskID') ?? query.get('buildID') ?? Number.NaN);
    const found =
      pathname === '/koji/taskinfo'
        ? taskPage(world, id)
        : pathname === '/koji/buildinfo'
          ? buildPage(world, id)
          : pathname === '/koji/getfile'
            ? filePage(world, id, query.get('name') ?? '')
            : undefined;
    return found ?? page(404, 'Not found', html`<p>The Koji of the demo has no such page.</p>`);
  };
}

function taskPage(world: World, id: number): Page | undefined {
  const tasks = world.tasks();
  const task = tasks.find((one) => one.id === id);
  if (!task) return undefined;
  const files = [...task.files.keys()];
  const below = tasks.filter(({ parent }) => parent === id);
  const { result } = task;
  const fault = result && 'fault' in result ? result.fault.text : undefined;
  return page(
    200,
    `Task ${id}`,
    html`<p>${task.method}, ${task.label ?? task.arch}: <strong>${STATES[task.state] ?? task.state}</strong></p>
${fault !== undefined && html`<pre>${fault}</pre>`}
${task.parent !== null && html`<p>Part of <a href="taskinfo?taskID=${task.parent}">task ${task.parent}</a></p>`}
<ul>
${below.map((one) => html`<li><a href="taskinfo?taskID=${one.id}">task ${one.id}</a> ${one.method}, ${one.label ?? one.arch}: ${STATES[one.state] ?? one.state}</li>\n`)}
${files.map((name) => html`<li><a href="getfile?taskID=${id}&amp;name=${encodeURIComponent(name)}">${name}</a></li>\n`)}
</ul>`,
  );
}

function filePage(world: World, id: number, name: string): Page | undefined {
  const file = world
    .tasks()
    .find((one) => one.id === id)
    ?.files.get(name);
  return file && { status: 200, type: 'text/plain; charset=utf-8', content: file.content };
}

function buildPage(world: World, id: number): Page | undefined {
  const build = world.state.builds.find((one) => one.id === id);
  if (!build) return undefined;
  const tags = world.tags(id);
  return page(
    200,
    build.nvr,
    html`<p>Build ${id}, in ${tags.length === 0 ? 'no tag' : tags.join(', ')}.</p>
${build.task_id !== null && html`<p><a href="taskinfo?taskID=${build.task_id}">task ${build.task_id}</a></p>`}`,
  );
}

const page = (status: number, title: string, content: Html): Page => ({
  status,
  type: 'text/html; charset=utf-8',
  content: markupOf(html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>:root { color-scheme: light dark; } body { font: 15px/1.5 system-ui, sans-serif; margin: 1rem; } pre { white-space: pre-wrap; }</style>
<h1>${title}</h1>
${content}
<p>A Koji in memory: it ends with the demo.</p>
</html>
`),
});
