import { expect, it } from 'vitest';
import { createActor, fromCallback, setup } from 'xstate';
import { type PointEvent, Post } from '../../src/machines/addresses.ts';

it('a post delivers to the actor of that name, and does nothing when there is none', () => {
  const heard: PointEvent[] = [];
  const point = fromCallback<PointEvent>(({ receive }) => receive((event) => heard.push(event)));
  const root = createActor(
    setup({ actors: { point } }).createMachine({ invoke: { src: 'point', systemId: 'point' } }),
  );
  const post = new Post();
  const broken = { type: 'point.broken', cause: { summary: 'node2 is lost' } } as const;
  post.tell('point', broken);
  post.connect(root.system);
  root.start();
  post.tell('point', broken);
  post.tell('sweep', { type: 'sweep.crippled', cause: broken.cause });
  root.stop();
  post.tell('point', broken);
  expect(heard).toEqual([broken]);
});

it('a misspelt event, a misspelt address and an event that the actor does not handle do not compile', () => {
  const post = new Post();
  // @ts-expect-error a misspelt event
  post.tell('point', { type: 'point.borken', cause: { summary: '' } });
  // @ts-expect-error a misspelt address
  post.tell('pont', { type: 'point.interrupt', why: '' });
  // @ts-expect-error the sweep does not hear it
  post.tell('sweep', { type: 'point.interrupt', why: '' });
  // @ts-expect-error a field is missing
  post.tell('sweep', { type: 'sweep.interrupt', why: '' });
  expect(post).toBeInstanceOf(Post);
});
