// Moments as RFC 3339 spells them, compared exactly: with any number of digits behind the second, and with offsets.

/** Whole seconds since the epoch, and the digits behind them. */
export interface Moment {
  readonly seconds: number;
  readonly fraction: string;
}

const MOMENT =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/;

/** Null for what is no moment. A leap second is taken for the second behind it. */
export function parseMoment(text: string): Moment | null {
  const match = MOMENT.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as Six;
  const date = new Date(0);
  // Unlike Date.UTC this takes the years before 100 for what they are.
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  const offset = (Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0)) * (match[8] === '-' ? -60 : 60);
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - offset;
  return { seconds, fraction: withoutZeros(match[7] ?? '') };
}

/** Without those at its end. By hand: a pattern for them begins anew at each zero, and how many there are is the sender's choice. */
function withoutZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === ZERO) end--;
  return digits.slice(0, end);
}

const ZERO = 0x30;

type Six = [number, number, number, number, number, number];

/** Negative when `a` comes before `b`, 0 when they are the same moment. */
export function compareMoments(a: Moment, b: Moment): number {
  if (a.seconds !== b.seconds) return a.seconds - b.seconds;
  if (a.fraction === b.fraction) return 0;
  // Without zeros at their ends digits compare as texts do.
  return a.fraction < b.fraction ? -1 : 1;
}
