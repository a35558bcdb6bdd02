/** The part of the WebAssembly JavaScript API that the engine uses (the DOM library is not loaded). */
export {};

declare global {
  namespace WebAssembly {
    type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128' | 'funcref' | 'externref' | 'anyfunc';
    class Memory {
      constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
      readonly buffer: SharedArrayBuffer;
    }
    class Table {
      constructor(descriptor: { element: 'anyfunc'; initial: number; maximum?: number });
      readonly length: number;
      get(index: number): unknown;
      set(index: number, value: unknown): void;
      grow(delta: number): number;
    }
    class Global {
      constructor(descriptor: { value: ValueType; mutable?: boolean }, value?: unknown);
      value: unknown;
    }
    class Module {
      constructor(bytes: Uint8Array);
      static exports(module: Module): { name: string; kind: string }[];
      static customSections(module: Module, name: string): ArrayBuffer[];
      static imports(module: Module): { module: string; name: string; kind: string }[];
    }
    class Instance {
      constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
      readonly exports: Record<string, unknown>;
    }
    class CompileError extends Error {}
    class RuntimeError extends Error {}
    function validate(bytes: Uint8Array): boolean;
    function compile(bytes: Uint8Array): Promise<Module>;
  }
}
