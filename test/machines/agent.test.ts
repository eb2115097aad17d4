import { describe, expect, it } from 'vitest';
import { createActor } from 'xstate';
import { type AgentEvent, agentMachine } from '../../src/machines/agent.ts';

const limits = { node: 'node1', suspectAfterMs: 1_500, lostAfterMs: 3_000, reconnectMs: 1_000 };

function having(...events: AgentEvent[]) {
  const actor = createActor(agentMachine, { input: limits }).start();
  for (const event of events) actor.send(event);
  const snapshot = actor.getSnapshot();
  return { state: snapshot.value, why: snapshot.context.why, unexpected: snapshot.context.unexpected };
}

describe('the agent machine', () => {
  it('joins with hello, and becomes suspect and then lost through silence alone', () => {
    expect(having({ type: 'agent.hello' }).state).toBe('joined');
    expect(having({ type: 'agent.hello' }, { type: 'agent.silent', ms: 1_400 }).state).toBe('joined');
    expect(having({ type: 'agent.hello' }, { type: 'agent.silent', ms: 1_600 }).state).toBe('suspect');
    const silent: AgentEvent[] = [{ type: 'agent.hello' }, { type: 'agent.silent', ms: 1_600 }];
    expect(having(...silent, { type: 'agent.silent', ms: 2_900 }).state).toBe('suspect');
    expect(having(...silent, { type: 'agent.silent', ms: 3_000 }).state).toBe('lost');
  });

  it('reacts quickly to a closed connection, and recovers when the agent connects again', () => {
    const cut: AgentEvent[] = [{ type: 'agent.hello' }, { type: 'agent.disconnected', reason: 'closed' }];
    expect(having(...cut).state).toBe('suspect');
    expect(having(...cut, { type: 'agent.silent', ms: 1_050 }).state).toBe('lost');
    expect(having(...cut, { type: 'agent.hello' }).state).toBe('joined');
    expect(having(...cut, { type: 'agent.heartbeat' }, { type: 'agent.silent', ms: 1_050 }).state).toBe(
      'joined',
    );
  });

  it('is lost at once when its process has ended, and stays lost', () => {
    const ended: AgentEvent[] = [
      { type: 'agent.hello' },
      { type: 'agent.ended', reason: 'SIGKILL', isOrderly: false },
    ];
    expect(having(...ended)).toMatchObject({ state: 'lost', why: 'SIGKILL' });
    expect(having(...ended, { type: 'agent.hello' }, { type: 'agent.heartbeat' })).toMatchObject({
      state: 'lost',
      unexpected: [],
    });
  });

  it('is lost when it does not join in time, and has left when it says goodbye', () => {
    expect(having({ type: 'join.timeout', ms: 60_000 }).state).toBe('lost');
    expect(having({ type: 'agent.hello' }, { type: 'join.timeout', ms: 60_000 }).state).toBe('joined');
    expect(having({ type: 'agent.hello' }, { type: 'agent.left' }).state).toBe('left');
    expect(
      having(
        { type: 'agent.hello' },
        { type: 'agent.left' },
        { type: 'agent.ended', reason: 'x', isOrderly: false },
      ).state,
    ).toBe('left');
  });

  it('has left when its process ended with exit code 0, although the goodbye was lost', () => {
    const ended: AgentEvent = { type: 'agent.ended', reason: 'srun ended with exit code 0', isOrderly: true };
    expect(having({ type: 'agent.hello' }, ended).state).toBe('left');
    const cut: AgentEvent[] = [{ type: 'agent.hello' }, { type: 'agent.disconnected', reason: 'closed' }];
    expect(having(...cut, ended).state).toBe('left');
    // An agent that never joined has done nothing, whatever its exit code.
    expect(having(ended).state).toBe('lost');
  });
});
