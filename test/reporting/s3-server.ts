import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A signature of AWS, version 4, in a header (docs.aws.amazon.com, "Authenticating Requests"). */
const SIGNED =
  /^AWS4-HMAC-SHA256 Credential=(?<id>[^/]+)\/\d{8}\/(?<region>[^/]+)\/s3\/aws4_request, SignedHeaders=(?<headers>[\w;-]+), Signature=[0-9a-f]{64}$/;

export interface StoredFile {
  readonly body: string;
  readonly type: string | undefined;
  /** The access key, and the region for which it was signed. */
  readonly signedBy: string | undefined;
  readonly region: string | undefined;
}

/** A stand-in for S3 that stores whole objects: paths with the bucket first. `refuse` says which ones it does not take. */
export async function s3Server(refuse: (path: string) => boolean = () => false) {
  const files = new Map<string, StoredFile>();
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const path = decodeURIComponent(new URL(request.url ?? '/', 'http://s3').pathname).slice(1);
      const signed = SIGNED.exec(request.headers.authorization ?? '')?.groups;
      if (request.method !== 'PUT' || !signed || refuse(path)) {
        response.writeHead(403, { 'content-type': 'application/xml' });
        response.end('<Error><Code>AccessDenied</Code><Message>not allowed</Message></Error>');
        return;
      }
      files.set(path, {
        body: Buffer.concat(pieces).toString('utf8'),
        type: request.headers['content-type'],
        signedBy: signed.id,
        region: signed.region,
      });
      response.writeHead(200, { etag: '"0"' }).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    files,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
