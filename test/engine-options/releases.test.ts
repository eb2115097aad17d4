import { describe, expect, it } from 'vitest';
import { type Hints, releaseOf } from '../../src/engine-options/releases.ts';
import { Tables } from '../../src/engine-options/table.ts';

const tables = new Tables();
const NONE = { install: true, commit: false };

const of = (framework: Parameters<typeof releaseOf>[0], hints: Partial<Hints>) =>
  releaseOf(framework, { image: 'repo/image:1', frameworks: {}, dynamo: NONE, ...hints }, tables);
const sglang = (image: string, frameworks: Record<string, string> = {}) =>
  of('sglang', { image, frameworks });

describe('the release of an engine', () => {
  it('is that of the image', () => {
    expect(sglang('lmsysorg/sglang:v0.5.9-cu130')).toBe('0.5.9');
    expect(sglang('lmsysorg/sglang:v0.5.8.post1-cu130')).toBe('0.5.8.post1');
    expect(sglang('docker.io#lmsysorg/sglang:v0.5.8-runtime@sha256:0a1b')).toBe('0.5.8');
    expect(sglang('/images/lmsysorg+sglang+v0.5.10.sqsh')).toBe('0.5.10');
    expect(of('vllm', { image: 'vllm/vllm-openai:v0.20.0-ubuntu2404@sha256:46da' })).toBe('0.20.0');
  });

  it('is the one that an image of Dynamo is built with', () => {
    const image = 'nvcr.io#nvidia/ai-dynamo/sglang-runtime:1.4.2';
    expect(sglang(image)).toBe('0.5.16');
    expect(of('vllm', { image })).toBeUndefined();
    expect(of('vllm', { image: 'nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.8.0' })).toBe('0.12.0');
    expect(
      of('vllm', { image: 'nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.2.0-deepseek-dev.3' }),
    ).toBeUndefined();
  });

  it('is unknown of nightly builds, of images with changes and of other images', () => {
    expect(sglang('lmsysorg/sglang:nightly-dev-20260527-14f81a67')).toBeUndefined();
    expect(sglang('lmsysorg/sglang:v0.5.9-fix')).toBeUndefined();
    expect(sglang('lmsysorg/sglang-rocm:v0.5.19-rocm720-mi30x-20260910')).toBeUndefined();
    expect(sglang('lmsysorg/sglang:dev')).toBeUndefined();
    expect(sglang('my-sglang:0.5.9')).toBeUndefined();
    expect(sglang('dynamo-sglang')).toBeUndefined();
  });

  it('is that of identity, unless the image says another one', () => {
    expect(sglang('dynamo-sglang', { sglang: '0.5.11' })).toBe('0.5.11');
    expect(sglang('dynamo-sglang', { sglang: 'v0.5.11+cu130' })).toBe('0.5.11');
    expect(sglang('lmsysorg/sglang:v0.5.9', { sglang: '0.5.9' })).toBe('0.5.9');
    expect(sglang('lmsysorg/sglang:v0.5.9', { sglang: '0.5.11' })).toBeUndefined();
    expect(of('vllm-router', { frameworks: { vllm_router: '0.1.17' } })).toBe('0.1.17');
  });
});

describe('the release of Dynamo', () => {
  const image = 'nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.4.2';

  it('is the one that is installed, whatever the image has', () => {
    expect(of('dynamo', { image, dynamo: { ...NONE, version: '1.6.1' } })).toBe('1.6.1');
    expect(of('dynamo', { dynamo: { ...NONE, wheel: '1.2.0.dev20260426' } })).toBe('1.2.0.dev20260426');
  });

  it('is that of the image when none is installed', () => {
    expect(of('dynamo', { image })).toBe('1.4.2');
    expect(of('dynamo', { image, dynamo: { install: false, version: '1.4.2', commit: false } })).toBe(
      '1.4.2',
    );
    expect(
      of('dynamo', { image, dynamo: { install: false, version: '1.4.1', commit: false } }),
    ).toBeUndefined();
  });

  it('is unknown of a commit', () => {
    expect(of('dynamo', { image, dynamo: { ...NONE, commit: true } })).toBeUndefined();
  });
});
