/** A web server of files, as `topurl` of a hub has them. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What it answers for a path: a file, or whatever. */
export type Answer = Uint8Array | ((response: ServerResponse) => void);

export interface FileServer {
  /** Without a slash at its end. */
  readonly url: string;
  /** The paths that were asked for. */
  readonly asked: string[];
  /** How many connections are open. */
  connections(): Promise<number>;
  close(): Promise<void>;
}

/**
 * @param answers by path
 * @param held so many bytes at the end of each file are never sent: who waits for them waits for ever
 */
export async function serveFiles(answers: ReadonlyMap<string, Answer>, held = 0): Promise<FileServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const answer = answers.get(path);
    if (!answer) response.writeHead(404, { 'Content-Type': 'text/html' }).end('<title>404 Not Found</title>');
    else if (typeof answer === 'function') answer(response);
    else {
      response.writeHead(200, { 'Content-Length': answer.length });
      if (held === 0) response.end(answer);
      else response.write(answer.subarray(0, answer.length - held));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    connections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, n) => (error ? reject(error) : resolve(n))),
      ),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
