import { texts } from "@/texts";

export interface SelectBoxProps {
  id: string;
  name: string;
  checked: boolean;
  onSelect: (id: string, range: boolean) => void;
}

/** Marks a plugin. With Shift everything from the one that was marked before, by mouse and by keyboard. */
export function SelectBox({ id, name, checked, onSelect }: SelectBoxProps) {
  return (
    <label className="-m-2 grid size-9 shrink-0 cursor-pointer place-items-center">
      <input
        type="checkbox"
        checked={checked}
        aria-label={texts.bulk.select(name)}
        title={texts.bulk.range}
        className="size-5 accent-(--nimbus-accent)"
        onChange={(event) => onSelect(id, (event.nativeEvent as MouseEvent).shiftKey === true)}
      />
    </label>
  );
}
