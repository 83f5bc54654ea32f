// Holds real requests' answers against the served description of the API, with a JSON Schema validator that is not ours.
import type { IncomingHttpHeaders } from 'node:http';

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

import { canonicalPath } from '../../src/query.ts';
import { routeAt } from '../../src/routes/table.ts';

/** One request and its answer, as they went over the wire. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Reference {
  readonly $ref: string;
}

interface HeaderObject {
  readonly required?: boolean;
  readonly schema: { readonly type?: string };
}

interface MediaType {
  readonly schema: object;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

interface ResponseObject {
  readonly headers?: Readonly<Record<string, HeaderObject | Reference>>;
  readonly content?: Readonly<Record<string, MediaType>>;
}

interface OperationObject {
  readonly operationId: string;
  readonly requestBody?: { readonly content: Readonly<Record<string, MediaType>> };
  readonly responses: Readonly<Record<string, ResponseObject | Reference>>;
}

interface Described {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, object>>>>;
}

const BASE = 'openapi.json';
const PROBLEM = 'application/problem+json';

export class OpenApiChecker {
  readonly document: Described;
  readonly #ajv: Ajv2020;
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(text: string) {
    this.document = JSON.parse(text) as Described;
    this.#ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true });
    // The whole of it is no schema, and must not look like a wrong one; what references lead to is one.
    this.#ajv.addVocabulary(Object.keys(this.document));
    this.#ajv.addSchema({ $id: BASE, ...this.document }, BASE, false, false);
  }

  /** What is wrong with the schemas themselves, and with the examples of bodies. */
  checkSchemas(): string[] {
    const { schemas = {}, parameters = {} } = this.document.components;
    const pointers = [
      ...Object.keys(schemas).map((name) => `#/components/schemas/${name}`),
      ...Object.keys(parameters).map((name) => `#/components/parameters/${name}/schema`),
    ];
    const wrong = pointers.flatMap((pointer) => {
      const isValid = this.#ajv.validateSchema(this.#at(pointer) as object);
      return isValid === true ? [] : [`${pointer}: ${this.#ajv.errorsText()}`];
    });
    for (const [path, methods] of Object.entries(this.document.paths)) {
      for (const [method, { requestBody }] of Object.entries(methods)) {
        for (const [type, { examples = {} }] of Object.entries(requestBody?.content ?? {})) {
          const pointer = `#/paths/${escape(path)}/${method}/requestBody/content/${escape(type)}/schema`;
          for (const { value } of Object.values(examples)) wrong.push(...this.#check(pointer, value));
        }
      }
    }
    return wrong;
  }

  /** The operation that an exchange belongs to, null for a path or a method that there is none for. */
  operationOf({ method, path }: Exchange): OperationObject | null {
    const at = this.#place(method, path);
    return at === null ? null : (this.document.paths[at.template]?.[at.method] ?? null);
  }

  /** What of an answer the description does not say, or says otherwise. */
  check(exchange: Exchange): string[] {
    const { method, path, status } = exchange;
    if (method === 'OPTIONS') return [];
    const at = this.#place(method, path);
    const found =
      at === null
        ? this.#checkWithoutOperation(exchange)
        : this.#checkAnswer(exchange, at.template, at.method);
    return found.map((what) => `${method} ${path.slice(0, 200)} → ${status}: ${what}`);
  }

  #place(method: string, path: string): { template: string; method: string } | null {
    const [rawPath = ''] = path.split(/[?#]/, 1);
    const canonical = canonicalPath(rawPath);
    const template = canonical === null ? undefined : routeAt(canonical)?.template;
    const described = method === 'HEAD' ? 'get' : method.toLowerCase();
    if (template === undefined || this.document.paths[template]?.[described] === undefined) return null;
    return { template, method: described };
  }

  /** There is nothing, it is not allowed, or it is no path: a problem, whatever it is. */
  #checkWithoutOperation({ method, headers, text }: Exchange): string[] {
    if (essenceOf(headers) !== PROBLEM) return ['not a problem'];
    return method === 'HEAD' ? [] : this.#check('#/components/schemas/Problem', JSON.parse(text));
  }

  #checkAnswer(exchange: Exchange, template: string, method: string): string[] {
    const { status, headers, text } = exchange;
    let pointer = `#/paths/${escape(template)}/${method}/responses/${status}`;
    let answer = this.#at(pointer) as ResponseObject | Reference | undefined;
    if (answer === undefined) return ['the status is not among the answers'];
    if ('$ref' in answer) {
      pointer = answer.$ref;
      answer = this.#at(pointer) as ResponseObject;
    }
    const wrong = this.#checkHeaders(answer, headers);
    if (answer.content === undefined) return text === '' ? wrong : [...wrong, 'there is a body'];
    const type = Object.keys(answer.content).find((each) => essence(each) === essenceOf(headers));
    if (type === undefined)
      return [...wrong, `the content type ${headers['content-type']} is not among them`];
    if (exchange.method === 'HEAD') return wrong;
    const body: unknown = /[/+]json$/.test(type) ? JSON.parse(text) : text;
    return [...wrong, ...this.#check(`${pointer}/content/${escape(type)}/schema`, body)];
  }

  #checkHeaders({ headers: described = {} }: ResponseObject, headers: IncomingHttpHeaders): string[] {
    return Object.entries(described).flatMap(([name, each]) => {
      const header = ('$ref' in each ? this.#at(each.$ref) : each) as HeaderObject;
      const value = headers[name.toLowerCase()];
      if (value === undefined) return header.required === true ? [`without ${name}`] : [];
      const pointer = '$ref' in each ? `${each.$ref}/schema` : null;
      const typed = header.schema.type === 'integer' ? Number(value) : value;
      return pointer === null ? [`${name} is not a reference`] : this.#check(pointer, typed);
    });
  }

  #check(pointer: string, value: unknown): string[] {
    let validate = this.#validators.get(pointer);
    if (validate === undefined) {
      validate = this.#ajv.compile({ $ref: `${BASE}${pointer}` });
      this.#validators.set(pointer, validate);
    }
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message }) => `${instancePath || 'the whole'} ${message}`,
    );
  }

  #at(pointer: string): unknown {
    const keys = pointer.slice(2).split('/').map(unescape);
    return keys.reduce<unknown>(
      (value, key) => (value as Record<string, unknown> | undefined)?.[key],
      this.document,
    );
  }
}

/** As a piece of a JSON pointer in a URI. */
function escape(key: string): string {
  return encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'));
}

function unescape(piece: string): string {
  return decodeURIComponent(piece).replaceAll('~1', '/').replaceAll('~0', '~');
}

function essenceOf(headers: IncomingHttpHeaders): string {
  return essence(headers['content-type'] ?? '');
}

function essence(type: string): string {
  return type.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
