// Made by openssl-vectors.sh: events as they are published, and signatures over their canonical texts by OpenSSL.

export interface OpensslVector {
  readonly name: string;
  readonly order: 'canonical' | 'older';
  /** The text of the event in the envelope. */
  readonly event: string;
  readonly canonical: string;
  readonly ed25519: string;
  readonly hmac: string;
}

/** The Ed25519 key of the vectors. */
export const OPENSSL_KEY = {
  seed: 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8',
  public: 'A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg',
} as const;

export const OPENSSL_SECRET = 'c2VjcmV0IG9mIGEgc3VwZXJ2aXNvcg';

export const OPENSSL_VECTORS: readonly OpensslVector[] = [
  {
    name: 'members in another order, white space',
    order: 'canonical',
    event: String.raw`{ "type" : "dev.cellos.events.cell.lifecycle.v1.started", "time":"2026-11-20T19:33:26.212779419+00:00",
  "specversion":"1.0", "id":"e-1", "source":"s", "data": { "specId":"spec", "cellId" : "openssl-1", "list" : [ 2 , 1 , { } , [ ] ] } }`,
    canonical: String.raw`{"data":{"cellId":"openssl-1","list":[2,1,{},[]],"specId":"spec"},"id":"e-1","source":"s","specversion":"1.0","time":"2026-11-20T19:33:26.212779419+00:00","type":"dev.cellos.events.cell.lifecycle.v1.started"}`,
    ed25519: 'UKFf-gS3Pn7Sk6iGdP7Ifj3qSCsmhSuWHSEKPVF-MHam6Uaq6eBcItqrodWf1oyQByH7ygQdRTbLQ1rRNuH3Cw',
    hmac: 'McAn33XU1D_GMGT-Qo7ZQQfISCvazHBh4ffUNVC2bQs',
  },
  {
    name: 'numbers as they were spelled: 1.0, 2^63, 1e3',
    order: 'canonical',
    event: String.raw`{"type":"dev.cellos.events.cell.lifecycle.v1.started","data":{"whole":1.0,"large":9223372036854775808,"exponent":1e3,"Exponent":1E+3,"zero":-0,"small":0.10,"cellId":"openssl-2","specId":"spec","nested":[{"b":1.50,"a":18446744073709551616}]}}`,
    canonical: String.raw`{"data":{"Exponent":1E+3,"cellId":"openssl-2","exponent":1e3,"large":9223372036854775808,"nested":[{"a":18446744073709551616,"b":1.50}],"small":0.10,"specId":"spec","whole":1.0,"zero":-0},"type":"dev.cellos.events.cell.lifecycle.v1.started"}`,
    ed25519: 'DTboa1W22LmcKFWsknuU5wGQUp_PnMYmOZVBh0geuLRvM3jSvyod5HV4-tyUdXQ_8S7vBJel-jApYRvaWc_SAg',
    hmac: '25MmiSlUHTM4fTXCFByywtdjrVQb96hzvpyJPFLj5SQ',
  },
  {
    name: 'escapes, and keys by their UTF-8 bytes',
    order: 'canonical',
    event: String.raw`{"type":"dev.cellos.events.cell.lifecycle.v1.started","data":{"cellId":"openssl-\u0033","specId":"caf\u00e9 \/ \ud83d\ude00","😀":4,"\uff01":3,"é":2,"Z":0,"a":1,"tab":"\u0009\b\f\n\r\u001F\"\\"}}`,
    canonical: String.raw`{"data":{"Z":0,"a":1,"cellId":"openssl-3","specId":"café / 😀","tab":"\t\b\f\n\r\u001f\"\\","é":2,"！":3,"😀":4},"type":"dev.cellos.events.cell.lifecycle.v1.started"}`,
    ed25519: 'uCUEIgZSiVrdjouwYSrI3OuDyMFKvGfHkM1QV7k9ALCzwbjylWgftlyXdQFd2zZUHzDSife_nZbWr4Ii-IjpAQ',
    hmac: 'K_XEEVpm91Hf-J9AtdeNl_mOLC-gi91MPz3WNoJDSKI',
  },
  {
    name: 'of a repeated key the last counts',
    order: 'canonical',
    event: String.raw`{"type":"other","data":1,"type":"dev.cellos.events.cell.lifecycle.v1.started","data":{"cellId":"x","specId":"spec","cellId":"openssl-4"}}`,
    canonical: String.raw`{"data":{"cellId":"openssl-4","specId":"spec"},"type":"dev.cellos.events.cell.lifecycle.v1.started"}`,
    ed25519: 'SwfUzXXcrJMUnawOnmHfNWojI4Vt1hydOAPzgNq0d0WzCQVUPuBhdA_eIskJrvOIS_ju7EztCCrd0-2_qvOyCg',
    hmac: 'I7XMsV4pATYWLUiRNJXkcjcl_TsAFArDTwQxS0VEGkk',
  },
  {
    name: 'the older order, attributes that are absent',
    order: 'older',
    event: String.raw`{"type":"dev.cellos.events.cell.lifecycle.v1.started","data":{"whole":1.0,"specId":"spec","large":9223372036854775808,"cellId":"openssl-5"},"id":"e-5","specversion":"1.0"}`,
    canonical: String.raw`{"specversion":"1.0","id":"e-5","source":null,"type":"dev.cellos.events.cell.lifecycle.v1.started","datacontenttype":null,"data":{"cellId":"openssl-5","large":9223372036854775808,"specId":"spec","whole":1.0},"time":null,"traceparent":null}`,
    ed25519: 'Myhet41oV1dvhNWze5IG4a0TeNkeVZkLCBuJlYWlIhTaZSE018oIbnRJup0e20PYnoOG7cOV8armCUPiF16vCA',
    hmac: 'h24uW4OBNZtF122i98RW5PX6g5x7GKq1xhGvvtyvxiQ',
  },
  {
    name: 'the older order, beside what it does not cover',
    order: 'older',
    event: String.raw`{"subject":"not covered","specversion":"1.0","id":"e-6","source":"s","type":"dev.cellos.events.cell.lifecycle.v1.started","datacontenttype":"application/json","data":{"cellId":"openssl-6","specId":"spec"},"time":"2026-11-20T19:33:26.2+01:00","traceparent":null,"cexsessionid":"not covered"}`,
    canonical: String.raw`{"specversion":"1.0","id":"e-6","source":"s","type":"dev.cellos.events.cell.lifecycle.v1.started","datacontenttype":"application/json","data":{"cellId":"openssl-6","specId":"spec"},"time":"2026-11-20T19:33:26.2+01:00","traceparent":null}`,
    ed25519: 'cW7x1nX-oPLtsh9nd4CfJ4tNNrAW-DWj08nqBnDKsBOHliZ5LlPC63TI9T70Ga5EYDvf6TAm1F4kVS3UVQ5XBg',
    hmac: 'hT7YF_tUgJCrw0KmAf1PPu8IKQ_za2-QwlvT04QLCuk',
  },
];
