// See action.yml. Only what Node.js has is used, no packages.
'use strict';
const fs = require('fs');
const path = require('path');
const zlib = require('zlib');

const input = (name) => process.env[`INPUT_${name.toUpperCase()}`] ?? '';

// The run and job that the token of the artifact service is for.
function backend() {
  const claims = process.env.ACTIONS_RUNTIME_TOKEN.split('.')[1];
  const scopes = JSON.parse(Buffer.from(claims, 'base64url')).scp.split(' ');
  const [, run, job] = scopes.find((one) => one.startsWith('Actions.Results:')).split(':');
  return { workflow_run_backend_id: run, workflow_job_run_backend_id: job };
}

async function call(method, body) {
  const service = 'twirp/github.actions.results.api.v1.ArtifactService';
  const url = new URL(`${service}/${method}`, process.env.ACTIONS_RESULTS_URL);
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${process.env.ACTIONS_RUNTIME_TOKEN}`,
    },
    body: JSON.stringify({ ...backend(), ...body }),
  });
  if (!answer.ok) throw new Error(`Failed to ${method}: ${answer.status}`);
  return answer.json();
}

// [name, bytes] pairs of a zip.
function* entries(zip) {
  const end = zip.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  if (end < 0) throw new Error('The artifact is not a zip file');
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const method = zip.readUInt16LE(at + 10);
    const packed = zip.readUInt32LE(at + 20);
    const [title, extra, note] = [28, 30, 32].map((skip) => zip.readUInt16LE(at + skip));
    const local = zip.readUInt32LE(at + 42);
    const name = zip.toString('utf8', at + 46, at + 46 + title);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const bytes = zip.subarray(start, start + packed);
    yield [name, method === 0 ? bytes : zlib.inflateRawSync(bytes)];
    at += 46 + title + extra + note;
  }
}

async function main() {
  const name = input('name');
  if (!name) throw new Error('This stand-in wants the name of the artifact');
  const to = path.resolve(process.env.GITHUB_WORKSPACE, input('path'));
  const { artifacts = [] } = await call('ListArtifacts', { name_filter: name });
  if (artifacts.length === 0) {
    throw new Error(`Unable to download artifact(s): Artifact not found for name: ${name}`);
  }
  const { signedUrl } = await call('GetSignedArtifactURL', { name });
  const answer = await fetch(signedUrl);
  if (!answer.ok) throw new Error(`Failed to download: ${answer.status}`);
  fs.mkdirSync(to, { recursive: true });
  let count = 0;
  for (const [inner, bytes] of entries(Buffer.from(await answer.arrayBuffer()))) {
    const file = path.resolve(to, inner);
    if (!file.startsWith(to + path.sep)) throw new Error(`Malicious entry: ${inner}`);
    if (inner.endsWith('/')) continue;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, bytes);
    count += 1;
  }
  fs.appendFileSync(process.env.GITHUB_OUTPUT, `download-path=${to}\n`);
  console.log(`Artifact ${name} has been downloaded: ${count} files`);
}

main().catch((error) => {
  console.log(`::error::${error.message}`);
  process.exitCode = 1;
});
