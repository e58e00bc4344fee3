/** What the network can run on in this browser. */

/**
 * @returns {Promise<object[]>} choices: `id`, `label`, `accelerator`, `threads`, `precision`, and
 *     `missing`, why one cannot be taken here
 */
export async function listBackends() {
  const cores = navigator.hardwareConcurrency || 1;
  const isolated = globalThis.crossOriginIsolated ? '' : 'needs https or localhost';
  const counts = [2, 4, 8].filter((n) => n <= cores);
  if (cores < 8 && !counts.includes(cores) && cores > 1) counts.push(cores);
  const cpu = [1, ...counts].map((threads) => ({
    id: `wasm-${threads}`,
    label: `WebAssembly, ${threads} thread${threads > 1 ? 's' : ''}`,
    accelerator: 'wasm',
    threads,
    precision: 'fp32',
    missing: threads > 1 ? isolated : '',
  }));
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  const gpu = ['fp32', 'fp16'].map((precision) => ({
    id: `webgpu-${precision}`,
    label: `WebGPU, ${precision === 'fp16' ? '16' : '32'}-bit floats`,
    accelerator: 'webgpu',
    threads: 1,
    precision,
    missing: missingOn(adapter, precision),
  }));
  return [...cpu, ...gpu];
}

/** The one to begin with: four threads where the page may have them. */
export function favourite(backends) {
  const usable = backends.filter((b) => !b.missing && b.accelerator === 'wasm' && b.threads <= 4);
  return usable.reduce((best, b) => (b.threads > best.threads ? b : best));
}

function missingOn(adapter, precision) {
  if (!navigator.gpu) return globalThis.isSecureContext ? 'not in this browser' : 'needs https';
  if (!adapter) return 'no GPU found';
  if (precision === 'fp16' && !adapter.features.has('shader-f16')) return 'not on this GPU';
  return '';
}
