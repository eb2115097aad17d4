import { readFileSync, rmSync } from 'node:fs';
import { Fatal } from './common/fatal.ts';

/**
 * `node simulator.js -m MODULE ARGS…` or `node simulator.js nginx ARGS…`: the stand-ins behind mock-bin/.
 * They take the real command lines, open the real ports and answer the real APIs, at the speed of
 * speed-model.ts.
 */
const words = process.argv.slice(2);
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
if (words[0] === '--environment') takeEnvironment(words.splice(0, 2)[1] ?? '');
const module = words[0] === '-m' ? words[1] : words[0];
const args = words.slice(words[0] === '-m' ? 2 : 1);
void run().catch(fail);

async function run(): Promise<void> {
  const { beginFaults } = await import('./common/faults.ts');
  await beginFaults();
  switch (module) {
    case 'sglang.launch_server':
    case 'dynamo.sglang':
    // Never compared with the real one.
    case 'dynamo.tokenspeed': {
      const { runEngine } = await import('./engine-process.ts');
      const [{ Arguments }, { engineOptions }] = await Promise.all([
        import('./common/argv.ts'),
        import('./engine/engine-options.ts'),
      ]);
      const options = engineOptions(new Arguments(args));
      await runEngine(module === 'sglang.launch_server' ? 'server' : 'dynamo', options);
      break;
    }
    case 'dynamo.mocker': {
      const [{ runEngine }, { Arguments }, { mockerOptions }] = await Promise.all([
        import('./engine-process.ts'),
        import('./common/argv.ts'),
        import('./engine/mocker-options.ts'),
      ]);
      const { engine, workers } = mockerOptions(new Arguments(args));
      await runEngine('mocker', engine, workers);
      break;
    }
    case 'dynamo.trtllm': {
      const [{ runEngine }, { dynamoOptions }] = await Promise.all([
        import('./engine-process.ts'),
        import('./engine/trtllm-options.ts'),
      ]);
      await runEngine('dynamo', dynamoOptions(args));
      break;
    }
    case 'dynamo.vllm': {
      const [{ runEngine }, { dynamoVllmOptions }] = await Promise.all([
        import('./engine-process.ts'),
        import('./dynamo/vllm-options.ts'),
      ]);
      await runEngine('dynamo', dynamoVllmOptions(args));
      break;
    }
    case 'dynamo.sglang.sidecar':
    case 'dynamo.vllm.sidecar':
    case 'dynamo.trtllm.sidecar': {
      const { runSidecar } = await import('./dynamo/sidecar.ts');
      await runSidecar(module, args);
      break;
    }
    case 'tensorrt_llm.commands.serve': {
      const [{ runEngine }, { besideOptions }] = await Promise.all([
        import('./engine-process.ts'),
        import('./engine/trtllm-options.ts'),
      ]);
      await runEngine('server', besideOptions(args));
      break;
    }
    case 'vllm-rs':
    case 'vllm.entrypoints.cli.main': {
      const [{ runEngine }, { besideOptions }] = await Promise.all([
        import('./engine-process.ts'),
        import('./dynamo/vllm-options.ts'),
      ]);
      await runEngine('server', besideOptions(args));
      break;
    }
    case 'trtllm-serve': {
      if (args[0] === 'mooncake_master' || args[0] === 'mooncake_donor') {
        const { runMooncakeOfTrtllm } = await import('./service.ts');
        await runMooncakeOfTrtllm(args[0], args.slice(1));
        break;
      }
      if (args[0] === 'disaggregated') {
        const { runDisaggregated } = await import('./router/trtllm-router.ts');
        await runDisaggregated(args.slice(1));
        break;
      }
      const [{ runEngine }, { serverOptions }] = await Promise.all([
        import('./engine-process.ts'),
        import('./engine/trtllm-options.ts'),
      ]);
      await runEngine('server', serverOptions(args));
      break;
    }
    case 'vllm':
    case 'vllm.entrypoints.openai.api_server': {
      const [{ noSuchCommand, runVllm }, { vllmOptions }] = await Promise.all([
        import('./vllm/server.ts'),
        import('./vllm/options.ts'),
      ]);
      if (module === 'vllm' && args[0] !== 'serve') throw noSuchCommand(args[0] ?? '');
      await runVllm(vllmOptions(module === 'vllm' ? args.slice(1) : args));
      break;
    }
    case 'atom.entrypoints.openai_server': {
      const [{ runVllm }, { atomOptions }] = await Promise.all([
        import('./vllm/server.ts'),
        import('./vllm/other-servers.ts'),
      ]);
      await runVllm(atomOptions(args));
      break;
    }
    case 'tilert.pd_vllm.decode_server': {
      const { runTilertDecode } = await import('./vllm/other-servers.ts');
      await runTilertDecode(args);
      break;
    }
    case 'tilert.pd_vllm.pd_router': {
      const { runTilertRouter } = await import('./router/tilert-router.ts');
      await runTilertRouter(args);
      break;
    }
    case 'atomesh': {
      const [{ runRouter }, { atomeshAsVllm }] = await Promise.all([
        import('./router/router.ts'),
        import('./router/tilert-router.ts'),
      ]);
      await runRouter('vllm', atomeshAsVllm(args));
      break;
    }
    case 'epp':
    case 'envoy':
    case 'pd-sidecar': {
      const { runDecodeSidecar, runEnvoy, runPicker } = await import('./llm-d/llm-d.ts');
      await (module === 'epp' ? runPicker : module === 'envoy' ? runEnvoy : runDecodeSidecar)(args);
      break;
    }
    case 'sgl-router': {
      const { runSglRouter } = await import('./router/sgl-router.ts');
      await runSglRouter(args);
      break;
    }
    case 'mpi-stand-in': {
      const { runTasks } = await import('./engine/mpi-stand-in.ts');
      await runTasks(args);
      break;
    }
    case 'sglang_router.launch_router':
    case 'smg.launch_router':
    case 'vllm_router.launch_router': {
      const { routerKinds, runRouter } = await import('./router/router.ts');
      await runRouter(routerKinds[module] ?? 'sglang', args);
      break;
    }
    case 'dynamo.frontend': {
      const { runFrontend } = await import('./dynamo/frontend.ts');
      await runFrontend(args);
      break;
    }
    case 'mooncake_master': {
      const { runMooncakeMaster } = await import('./engine/mooncake.ts');
      await runMooncakeMaster(args);
      break;
    }
    case 'sglang.test.run_eval': {
      const { runEvaluation } = await import('./evaluation/run-eval.ts');
      await runEvaluation(args);
      break;
    }
    case 'lm_eval': {
      const { runLmEval } = await import('./evaluation/lm-eval.ts');
      await runLmEval(args);
      break;
    }
    case 'service': {
      const { runService } = await import('./service.ts');
      await runService(args);
      break;
    }
    case 'nginx': {
      const { runNginx } = await import('./router/nginx.ts');
      await runNginx(args);
      break;
    }
    default:
      fail(new Fatal(`No module named ${module}`));
  }
}

/** bin/simulate passes the environment in a file, so that /proc does not show it. */
function takeEnvironment(file: string): void {
  const entries = readFileSync(file, 'utf8').split('\0').slice(0, -1);
  rmSync(file);
  for (const entry of entries) {
    const at = entry.indexOf('=');
    process.env[entry.slice(0, at)] = entry.slice(at + 1);
  }
}

/**
 * Fails as an engine does: the message on stderr, a traceback for a crash, exit code 1 (2 for bad arguments).
 */
function fail(error: unknown): never {
  if (error instanceof Fatal) {
    process.stderr.write(
      `${error.traceback ? 'Traceback (most recent call last):\n  ...\n' : ''}${error.message}\n`,
    );
    process.exit(error.exitCode);
  }
  process.stderr.write(
    `Traceback (most recent call last):\n${error instanceof Error ? error.stack : error}\n`,
  );
  process.exit(1);
}
