// Which requests have made which events: the part of the view that knows a repeated request (idempotency.ts). Receipts stay with
// their formation, so that a checkpoint keeps them, and only as long as the log may hold their events.
import type { Formation, Position, Receipt, RequestMark } from './model.ts';

/** By the mark's key. */
export type ReceiptIndex = Map<string, { readonly formation: Formation; readonly receipt: Receipt }>;

/** Notes that the event at `seq` carries the mark. The first event of a key counts. */
export function keepReceipt(
  index: ReceiptIndex,
  formation: Formation,
  mark: RequestMark,
  { seq, firstSeq }: { seq: Position; firstSeq: Position },
): void {
  if (index.has(mark.key)) return;
  forgetOld(index, formation, firstSeq);
  const receipt = { ...mark, seq };
  if (formation.receipts === null) formation.receipts = [receipt];
  else formation.receipts.push(receipt);
  index.set(receipt.key, { formation, receipt });
}

/** The receipts of a formation that was restored. */
export function indexReceipts(index: ReceiptIndex, formation: Formation): void {
  for (const receipt of formation.receipts ?? []) index.set(receipt.key, { formation, receipt });
}

/** The log holds nothing before `firstSeq` any more. */
export function forgetReceiptsBefore(index: ReceiptIndex, firstSeq: Position): void {
  for (const { formation, receipt } of index.values()) {
    if (receipt.seq < firstSeq) forgetOld(index, formation, firstSeq);
  }
}

function forgetOld(index: ReceiptIndex, formation: Formation, firstSeq: Position): void {
  const { receipts } = formation;
  if (receipts === null) return;
  const kept = receipts.findIndex(({ seq }) => seq >= firstSeq);
  for (const { key } of receipts.splice(0, kept < 0 ? receipts.length : kept)) index.delete(key);
  if (receipts.length === 0) formation.receipts = null;
}
