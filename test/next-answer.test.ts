import { describe, expect, test } from 'vitest';

import { NextAnswer } from '../src/next-answer.ts';

describe('an answer for many', () => {
  const start = () => {
    const asked: ReturnType<typeof Promise.withResolvers<number>>[] = [];
    const answer = new NextAnswer(() => {
      const question = Promise.withResolvers<number>();
      asked.push(question);
      return question.promise;
    });
    return { asked, answer };
  };
  const settle = async () => {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };

  test('OUT-19 is never older than the question, and asked for as rarely as that allows', async () => {
    const { asked, answer } = start();
    const first = answer.get();
    const others = [answer.get(), answer.get(), answer.get()];
    expect(asked).toHaveLength(1);
    asked[0]?.resolve(1);
    expect(await first).toBe(1);
    await settle();
    expect(asked).toHaveLength(2);
    const late = answer.get();
    asked[1]?.resolve(2);
    expect(await Promise.all(others)).toEqual([2, 2, 2]);
    await settle();
    asked[2]?.resolve(3);
    expect(await late).toBe(3);
    const later = answer.get();
    expect(asked).toHaveLength(4);
    asked[3]?.resolve(4);
    expect(await later).toBe(4);
  });

  test('OUT-19 that fails is a failure for those who asked then alone', async () => {
    const { asked, answer } = start();
    const first = answer.get();
    const next = answer.get();
    asked[0]?.reject(new Error('away'));
    await expect(first).rejects.toThrow('away');
    await settle();
    asked[1]?.resolve(2);
    expect(await next).toBe(2);
  });
});
