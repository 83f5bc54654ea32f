// How often an address may present a wrong token: a budget that refills with time. Who has logged in from there before is not
// kept out by others who guess; everybody else is, and is not told whether a guess was right.
import type { Principal } from './auth.ts';
import { FAILED_LOGINS_BURST, FAILED_LOGINS_PER_SECOND, MAX_LOGIN_ADDRESSES } from './limits.ts';
import type { Clock } from './ports.ts';
import { RecentMap } from './recent-map.ts';

/** What is left of an address's budget, as of a time. */
interface Budget {
  left: number;
  at: number;
}

export class FailedLogins {
  readonly #clock: Pick<Clock, 'now'>;
  /** Apart from each other, so that failures, which anybody can cause from many addresses, do not make it forget the good ones. */
  readonly #budgets: RecentMap<Budget>;
  readonly #known: RecentMap<readonly Principal[]>;

  constructor(clock: Pick<Clock, 'now'>, capacity = MAX_LOGIN_ADDRESSES) {
    this.#clock = clock;
    this.#budgets = new RecentMap(capacity);
    this.#known = new RecentMap(capacity);
  }

  /**
   * Whether a request from there is looked at; `principal` is whose token it carries, null for nobody's. A good one is remembered
   * when it is. The steps are the same for a right token that is not known there and for a wrong one.
   */
  admits(address: string, principal: Principal | null): boolean {
    const source = sourceOf(address);
    const known = this.#known.get(source);
    // The usual request ends here.
    if (known !== undefined && (known as readonly unknown[]).includes(principal)) return true;
    const budget = this.#budgets.get(source);
    if (budget !== undefined && this.#refill(budget).left < 1) return false;
    if (principal !== null) this.#known.set(source, [...(known ?? []), principal]);
    return true;
  }

  /** A token from there was wrong. */
  failed(address: string): void {
    const source = sourceOf(address);
    const budget = this.#budgets.get(source);
    if (budget === undefined) {
      this.#budgets.set(source, { left: FAILED_LOGINS_BURST - 1, at: this.#clock.now() });
    } else {
      this.#refill(budget).left -= 1;
    }
  }

  #refill(budget: Budget): Budget {
    const now = this.#clock.now();
    // A clock that was set back gives nothing, and takes nothing either.
    const seconds = Math.max(0, now - budget.at) / 1000;
    budget.left = Math.min(FAILED_LOGINS_BURST, budget.left + seconds * FAILED_LOGINS_PER_SECOND);
    budget.at = now;
    return budget;
  }
}

const MAPPED_IPV4 = /^[0:]*:ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const GROUPS = 8;
const PREFIX_GROUPS = 4;

/** What an address counts as: IPv6 by its /64, which is what one customer gets; IPv4 within IPv6 as IPv4. */
export function sourceOf(address: string): string {
  if (!address.includes(':')) return address;
  const mapped = MAPPED_IPV4.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [before = '', after] = address.split('::');
  const head = groupsOf(before);
  if (after !== undefined && head.length < PREFIX_GROUPS) {
    const tail = groupsOf(after);
    while (head.length + tail.length < GROUPS) head.push('0');
    head.push(...tail);
  }
  const prefix = head.slice(0, PREFIX_GROUPS).map((group) => group.replace(/^0+(?=.)/, '').toLowerCase());
  return `${prefix.join(':')}::/64`;
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':');
}
