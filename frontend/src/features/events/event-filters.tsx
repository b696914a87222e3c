import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { EventFilter } from "@/api/events";
import { pluginsQuery } from "@/api/plugins";
import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { SelectField } from "@/components/ui/select-field";
import { texts } from "@/texts";
import { filterOf, SPANS, type Span } from "./filter";

const { events } = texts;

export interface EventFiltersProps {
  filtered: boolean;
  onFilter: (filter: EventFilter) => void;
}

/** Which events are shown: by type, by who says so, by a word in them, and by time. */
export function EventFilters({ filtered, onFilter }: EventFiltersProps) {
  const { data: plugins = [] } = useQuery(pluginsQuery(true));
  const [span, setSpan] = useState<Span>("any");
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    onFilter(filterOf((name) => String(data.get(name) ?? ""), Date.now()));
  };
  return (
    <form
      onSubmit={submit}
      onReset={() => {
        setSpan("any");
        onFilter({});
      }}
      aria-label={events.filter}
      className="mb-4 flex flex-wrap items-end gap-3"
    >
      <Field label={events.type} name="type" placeholder="io.nimbus.media." className="w-full sm:w-52" />
      <SelectField
        label={events.source}
        name="source"
        className="w-full sm:w-44"
        options={[
          { value: "", label: events.anySource },
          { value: "/nimbus", label: texts.app.name },
          ...plugins.map(({ id, name }) => ({ value: `/plugins/${id}`, label: name })),
        ]}
      />
      <Field label={events.text} name="text" type="search" className="w-full sm:w-52" />
      <SelectField
        label={events.span}
        name="span"
        className="w-full sm:w-44"
        value={span}
        onChange={(event) => setSpan(event.target.value as Span)}
        options={SPANS.map((value) => ({ value, label: events.spans[value] }))}
      />
      {span === "range" && (
        <>
          <Field label={events.since} name="since" type="datetime-local" className="w-full sm:w-52" />
          <Field label={events.until} name="until" type="datetime-local" className="w-full sm:w-52" />
        </>
      )}
      <Button type="submit">{texts.audit.apply}</Button>
      {filtered && (
        <Button type="reset" variant="ghost">
          {texts.audit.all}
        </Button>
      )}
    </form>
  );
}
